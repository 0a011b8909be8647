# SPDX-License-Identifier: Apache-2.0
import pytest

from support import cluster_world


@pytest.fixture
def namespace():
    with cluster_world.namespace() as name:
        yield name


@pytest.fixture
def exporter():
    """A real exporter that follows the node's pods."""
    with cluster_world.exporter() as exporter:
        yield exporter
