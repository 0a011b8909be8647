# SPDX-License-Identifier: Apache-2.0
import fcntl
import functools
import hashlib
import subprocess
import sys

import pytest

from support import matrix, serving, training
from support.repository import ROOT


@pytest.fixture
def train(tmp_path):
    """Runs a training script in this test's directory, with the newest wandb."""
    return functools.partial(training.run, tmp_path)


@pytest.fixture(scope="session")
def wheel():
    """The wheel, built once from this checkout."""
    assets = ROOT.glob("exporter/*/live/assets/**/*.*")
    sources = sorted([*ROOT.glob("*/primus_lens_*/**/*.py"), *assets])
    sources += [ROOT / "hook" / "wandb_step_fix.py", ROOT / "pyproject.toml"]
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()[:16]
    directory = ROOT / ".venv" / "wheels" / digest
    directory.mkdir(parents=True, exist_ok=True)
    with (directory / "lock").open("w") as lock:  # two test workers, one wheel
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not list(directory.glob("*.whl")):
            command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps"]
            subprocess.run([*command, "-w", directory, ROOT], check=True)
    (built,) = directory.glob("*.whl")
    return built


exhaustive = pytest.mark.exhaustive
CELLS = [
    pytest.param(each, id=each.name, marks=() if each == matrix.EVERYDAY else exhaustive)
    for each in (*matrix.MATRIX, matrix.FREE_THREADED)
]


@pytest.fixture(params=CELLS)
def cell(request, wheel):
    """Each Python and wandb of the matrix: the path of its interpreter."""
    if matrix.interpreter(request.param.python) is None:
        pytest.skip(f"no Python {request.param.python} on this machine")
    return matrix.environment(request.param, wheel)


@pytest.fixture
def exporter(tmp_path, rank):
    """A real exporter that follows that rank."""
    with serving.Exporter(tmp_path / "records") as exporter:
        yield exporter
