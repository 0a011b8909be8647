# SPDX-License-Identifier: Apache-2.0
import fcntl
import functools
import hashlib
import os
import subprocess
import sys

import matrix
import pytest
import serving
import training


@pytest.fixture(autouse=True)
def _clean_environ(monkeypatch):
    """No test sees what steers the hook, the exporter or wandb in the caller's shell."""
    clean = training.clean_environ()
    for name in set(os.environ) - set(clean):
        if not name.startswith("PYTEST_"):
            monkeypatch.delenv(name)


@pytest.fixture
def train(tmp_path):
    """Runs a training script in this test's directory, with the newest wandb."""
    return functools.partial(training.run, tmp_path)


@pytest.fixture(scope="session")
def wheel():
    """The wheel, built once from this checkout."""
    assets = matrix.ROOT.glob("exporter/*/live/assets/**/*.*")
    sources = sorted([*matrix.ROOT.glob("*/primus_lens_*/**/*.py"), *assets])
    sources += [matrix.ROOT / "hook" / "wandb_step_fix.py", matrix.ROOT / "pyproject.toml"]
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()[:16]
    directory = matrix.ROOT / ".venv" / "wheels" / digest
    directory.mkdir(parents=True, exist_ok=True)
    with (directory / "lock").open("w") as lock:  # two test workers, one wheel
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not list(directory.glob("*.whl")):
            command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps"]
            subprocess.run([*command, "-w", directory, matrix.ROOT], check=True)
    (built,) = directory.glob("*.whl")
    return built


@pytest.fixture(params=matrix.MATRIX, ids=lambda cell: cell.name)
def cell(request, wheel):
    """Each Python and wandb of the matrix: the path of its interpreter."""
    if matrix.interpreter(request.param.python) is None:
        pytest.skip(f"no Python {request.param.python} on this machine")
    return matrix.environment(request.param, wheel)


@pytest.fixture
def rank(tmp_path):
    """The directory of node 0, rank 1."""
    directory = tmp_path / "records" / "node_0" / "rank_1"
    directory.mkdir(parents=True)
    return directory


@pytest.fixture
def exporter(tmp_path, rank):
    """A real exporter that follows that rank."""
    with serving.Exporter(tmp_path / "records") as exporter:
        yield exporter
