# SPDX-License-Identifier: Apache-2.0
"""A wandb of the future: the training is as with native wandb, and what can be recorded is."""

import subprocess

import pytest

from support import future_training as training
from support import matrix
from support.futures import ALL, OTHERS, RENAMED
from support.repository import ROOT
from support.used_names import used_names

# One of each way in which the hook once ended or changed the training.
QUICK = {
    "today",
    "_local_step",
    "_log: a parameter renamed",
    "_summary_update_callback: by keyword",
    "log: a function of wandb",
    "Run: with slots",
}
NAMES = [pytest.param(name, marks=() if name in QUICK else pytest.mark.exhaustive) for name in ALL]

# What a run is described by: null in wandb_runs.json where it is gone, as `group` shows.
DESCRIBING = {"entity", "id", "job_type", "mode", "name", "project", "run_id", "tags"}
# Keys and parts that stand or fall with another name.
PARTS = {"run": "set_global", "commit": "_log", "tensorboard": "patched"}
# Of our own, or of Python's.
NOT_WANDBS = {
    "__str__", "args", "default", "get", "host", "join", "lock", "modules", "start", "status",
    "stop", "watch",
}  # fmt: skip


@pytest.fixture(scope="session")
def today(tmp_path_factory):
    """The training with the newest wandb as it is, without the hook and with it."""
    directory = tmp_path_factory.mktemp("today")
    return [training.run(directory / str(hook), "today", hook) for hook in (False, True)]


@pytest.mark.parametrize("name", NAMES)
def test_the_training_is_as_with_native(name, today, tmp_path):
    native, hooked = today[0], training.run(tmp_path / "hooked", name, hook=True)
    if training.seen(hooked) != training.seen(native):  # what has changed can be seen natively too
        native = training.run(tmp_path / "native", name, hook=False)
    assert "trained" in native.stdout, native.stderr
    assert training.seen(hooked) == training.seen(native), hooked.stderr
    assert not training.lost(native, hooked)
    assert set(hooked.outcome["declined"]) == set(ALL[name].declined)
    assert [line["data"] for line in hooked.lines] == training.records(today[1].lines, name)


def test_each_name_that_the_hook_uses_has_a_future():
    tried = {name.partition(":")[0] for name in (*RENAMED, *OTHERS)}
    assert used_names() - tried == DESCRIBING | set(PARTS) | NOT_WANDBS
    assert set(PARTS.values()) <= tried


def test_annotations_that_only_type_checkers_know():
    # Python 3.14 evaluates them when somebody asks for a signature.
    python = matrix.interpreter("3.14") or pytest.skip("no Python 3.14 on this machine")
    program = """if True:
        from primus_lens_hook.wandb_names import logging_method
        class Run:
            def log(self, data: Unknown, step: Unknown = None, commit=None) -> Unknown: ...
        print(logging_method(Run))
    """
    done = subprocess.run(
        [python, "-c", program],
        env={"PYTHONPATH": str(ROOT / "hook")}, capture_output=True, text=True,
    )  # fmt: skip
    assert done.stdout == "('log', 'no Run._log')\n", done.stderr
