# SPDX-License-Identifier: Apache-2.0
"""The wheel: what is in it, what it leaves behind, and on what it may depend."""

import email
import subprocess
import zipfile

import pytest
from primus_lens_cli.hook import PTH, PTH_TEXT

from support import matrix
from support.environment import clean_environ
from support.repository import ROOT


def tree(directory):
    """Every file and its content, but for what Python and pip write for themselves."""
    files = (path for path in directory.rglob("*") if path.is_file())
    return {path: path.stat().st_size for path in files if "__pycache__" not in path.parts}


OTHERS = [pytest.param(version, marks=pytest.mark.exhaustive) for version in ("3.7", "3.15")]


@pytest.fixture(params=["3.11", *OTHERS])
def environment(request, tmp_path):
    base = matrix.interpreter(request.param)
    if base is None:
        pytest.skip(f"no Python {request.param} on this machine")
    subprocess.run([base, "-m", "venv", tmp_path / "venv"], check=True)
    return tmp_path / "venv"


def run(environment, *command):
    done = subprocess.run(
        [environment / "bin" / "python", *command],
        env=clean_environ(),
        capture_output=True,
        text=True,
    )
    return done.returncode, done.stdout, done.stderr


def test_install_and_uninstall_leave_nothing_behind(environment, wheel):
    before = tree(environment)
    assert run(environment, "-m", "pip", "install", "-q", "--no-index", wheel)[0] == 0
    status, printed, _ = run(environment, "-m", "primus_lens_cli", "hook", "check")
    assert (status, "loads" in printed) == (0, True)
    assert (
        run(environment, "-m", "pip", "uninstall", "-q", "-y", "primus-lens-wandb-exporter")[0] == 0
    )
    assert tree(environment) == before
    assert run(environment, "-c", "print(1)") == (0, "1\n", "")


@pytest.mark.exhaustive
def test_uninstall_and_install_of_the_hook_alone(environment, wheel):
    run(environment, "-m", "pip", "install", "-q", "--no-index", wheel)
    installed = tree(environment)
    hook = ("-m", "primus_lens_cli", "hook")
    assert run(environment, *hook, "uninstall")[0] == 0
    status, printed, _ = run(environment, *hook, "check")
    assert status == 1
    assert "primus-lens hook install" in printed
    assert run(environment, *hook, "uninstall")[0] == 0
    assert run(environment, *hook, "install")[0] == 0
    assert run(environment, *hook, "check")[0] == 0
    assert tree(environment) == installed


@pytest.mark.exhaustive
def test_a_start_up_file_left_alone_is_silent(environment):
    (site,) = environment.glob("lib/python*/site-packages")
    (site / PTH).write_text(PTH_TEXT)
    assert run(environment, "-c", "print(1)") == (0, "1\n", "")


def test_the_start_up_file(wheel):
    with zipfile.ZipFile(wheel) as archive:
        assert archive.read(PTH).decode() == PTH_TEXT


def test_the_live_page_is_in_it(wheel):
    assets = (ROOT / "exporter" / "primus_lens_exporter" / "live" / "assets").rglob("*.*")
    with zipfile.ZipFile(wheel) as archive:
        names = {str(path.relative_to(ROOT / "exporter")) for path in assets}
        assert names - set(archive.namelist()) == set()
    assert "primus_lens_exporter/live/assets/index.html" in names


def test_the_hook_depends_on_nothing(wheel):
    with zipfile.ZipFile(wheel) as archive:
        (metadata,) = [name for name in archive.namelist() if name.endswith("/METADATA")]
        required = email.message_from_bytes(archive.read(metadata)).get_all("Requires-Dist")
    assert all("extra ==" in requirement for requirement in required)


@pytest.mark.exhaustive
def test_daemon_parts_say_which_python_they_need(environment, wheel):
    run(environment, "-m", "pip", "install", "-q", "--no-index", wheel)
    status, _, error = run(environment, "-m", "primus_lens_cli", "exporter")
    assert status == 2
    assert len(error.splitlines()) == 1
    assert "3.11" in error or "pip install '.[exporter]'" in error
