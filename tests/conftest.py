# SPDX-License-Identifier: Apache-2.0
import os
from pathlib import Path

import pytest
from hypothesis import settings

from support.environment import clean_environ

TESTS = Path(__file__).parent

# `make test-all` tries ten times as many random examples. A timing never decides a test.
settings.register_profile("thorough", max_examples=100, deadline=None)
settings.register_profile("quick", max_examples=10, deadline=None)
settings.load_profile("quick")


def pytest_addoption(parser):
    parser.addoption(
        "--programs", type=int, default=5, help="random programs that each wandb of the matrix runs"
    )


def pytest_collection_modifyitems(items):
    """Mark each test with the folder that it is in: unit, integration or cluster."""
    for item in items:
        item.add_marker(item.path.relative_to(TESTS).parts[0])


@pytest.fixture(autouse=True)
def _clean_environ(monkeypatch):
    """No test sees what steers the hook, the exporter or wandb in the caller's shell."""
    for name in set(os.environ) - set(clean_environ()):
        if not name.startswith("PYTEST_"):
            monkeypatch.delenv(name)


@pytest.fixture
def rank(tmp_path):
    """The directory of node 0, rank 1."""
    directory = tmp_path / "records" / "node_0" / "rank_1"
    directory.mkdir(parents=True)
    return directory
