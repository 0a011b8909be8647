# SPDX-License-Identifier: Apache-2.0
import pytest

from support.boards.bare_world import bare_world
from support.boards.full_world import full_world
from support.boards.recording import record


@pytest.fixture(scope="session")
def recording(tmp_path_factory):
    """What a real training has written."""
    return record(tmp_path_factory.mktemp("training"))


@pytest.fixture(scope="session")
def world(tmp_path_factory, recording):
    """Everything that rules and boards ask for, and everything that can be wrong with it."""
    with full_world(tmp_path_factory.mktemp("world"), recording) as made:
        yield made


@pytest.fixture(scope="session")
def bare(tmp_path_factory, recording):
    """Exporters of plain directories, and a Prometheus."""
    with bare_world(tmp_path_factory.mktemp("bare"), recording) as made:
        yield made
