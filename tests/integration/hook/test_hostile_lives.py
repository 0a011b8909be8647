# SPDX-License-Identifier: Apache-2.0
"""Random lives of a process end with the hook as they do without it."""

import tempfile
from pathlib import Path

import pytest

from support.hostile_hook import generate, places
from support.hostile_hook.compare import compare
from support.hostile_hook.running import Worker

SEED = "gate"
LIVES = 24
pytestmark = pytest.mark.exhaustive


@pytest.fixture(scope="module")
def worker():
    # Not pytest's own directory: other users, whom lives become, do not get through to it.
    with tempfile.TemporaryDirectory(prefix="primus-lens-hostile-") as directory:
        Path(directory).chmod(0o755)
        worker = Worker(Path(directory) / "life")
        yield worker
        worker.close()


@pytest.mark.parametrize("number", range(LIVES))
def test_life(worker, number):
    check(worker, generate.life(f"{SEED}-{number}"))


def check(worker, life):
    if not places.possible(life.place):
        pytest.skip("mounting a file system is not permitted here")
    broken = compare(*worker.both(life))
    if broken:
        repeat = f"python -m support.hostile_hook --life {life.name}"
        pytest.fail("\n".join([str(life), repeat, life.script, *map(str, broken)]), pytrace=False)
