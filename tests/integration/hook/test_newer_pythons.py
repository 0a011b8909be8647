# SPDX-License-Identifier: Apache-2.0
"""Newer Pythons, one without the GIL among them: the hook's unit tests, and new warnings."""

import re
import subprocess

import pytest

from support import matrix, training
from support.environment import clean_environ
from support.repository import ROOT

TOOLS = ("pytest", "pytest-timeout", "hypothesis", "psutil", "nvidia-ml-py")
LOCK = (ROOT / "requirements" / "dev.txt").read_text()
PINS = tuple(re.search(rf"^{name}==\S+", LOCK, re.MULTILINE)[0] for name in TOOLS)
EVERY_WARNING = ("-X", "dev", "-X", "warn_default_encoding", "-W", "always")
SYSTEM = {"PRIMUS_LENS_WANDB_ENHANCE_METRICS": "true"}
TRAIN = """
    import time, wandb
    run = wandb.init(project="p")
    wandb.log({"a": 1.5, "b": {"c": 2}}, 5); wandb.log({"late": 1}, 3)
    time.sleep(0.5)  # for the sources of system metrics
    wandb.finish()
"""
FORK = """
    import os, sys, time, warnings, wandb
    def fork(when):
        with warnings.catch_warnings(record=True) as seen:
            warnings.simplefilter("always")
            if not os.fork(): os._exit(0)
            os.wait()
        print(when, [type(each.message).__name__ for each in seen])
    fork("before a run")
    wandb.init(project="p")
    fork("a run has begun")
    wandb.log({"a": 1}, 5); wandb.log({"a": 1}, 3)
    time.sleep(0.5)
    fork("rows have been logged")
    wandb.finish()
    fork("the run has ended")
"""

pytestmark = pytest.mark.exhaustive


def environment(cell, wheel):
    if matrix.interpreter(cell.python) is None:
        pytest.skip(f"no Python {cell.python} on this machine")
    return matrix.environment(cell, wheel)


@pytest.mark.parametrize("version", [*matrix.FETCHED, matrix.FREE_THREADED.python])
def test_the_unit_tests_of_the_hook(version, wheel):
    python = environment(matrix.Cell(version, None, PINS, "unit-tests"), wheel)
    command = [python, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-m", "not exhaustive"]
    # Else a package that is not made for it would bring the GIL back.
    env = {**clean_environ(), **({"PYTHON_GIL": "0"} if version.endswith("t") else {})}
    # The packages of TensorBoard need not be there for a Python that is new.
    command += ["tests/unit/hook", "--ignore", "tests/unit/hook/test_tensorboard.py"]
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-5000:]


@pytest.mark.parametrize("version", matrix.FETCHED)
def test_no_warning_is_about_the_hook(version, wheel, tmp_path):
    python = environment(matrix.Cell(version, ""), wheel)
    done = training.run(tmp_path, TRAIN, python=python, flags=EVERY_WARNING, env=SYSTEM)
    assert [line for line in done.stderr.splitlines() if "primus" in line] == []
    assert "Warning" in done.stderr  # wandb's own
    assert {"a": 1.5, "b.c": 2} in done.data


@pytest.mark.parametrize(
    ("version", "mode"), [("3.14", "offline"), ("3.15", "offline"), ("3.15", "disabled")]
)
def test_a_fork_warns_of_threads_only_where_it_does_without_us(version, mode, wheel, tmp_path):
    """Since Python 3.12, in a process that has any; wandb has one from `init` on."""
    python, printed = environment(matrix.Cell(version, ""), wheel), []
    for hook in ("true", "false"):
        env = {**SYSTEM, "PRIMUS_LENS_WANDB_HOOK": hook, "WANDB_MODE": mode}
        printed.append(training.run(tmp_path / hook, FORK, python=python, env=env).stdout)
    assert printed[0] == printed[1]
    assert printed[0].startswith("before a run []\n")
