# SPDX-License-Identifier: Apache-2.0
"""The API server dies under a running webhook, and comes back. Last of all, like the other one."""

import os
import subprocess
from pathlib import Path

import pytest

from support import cluster_release, cluster_world
from support.cluster_release import asked, create, identity, injected
from support.injected_pods import Case
from support.serving import until

cluster_release.require()
cluster_world.require()  # whose node writes the logs

STOP, START = os.environ.get("E2E_API_STOP"), os.environ.get("E2E_API_START")
if not (STOP and START):
    pytest.skip("E2E_API_STOP and E2E_API_START do not say how", allow_module_level=True)


def run(command):
    subprocess.run(command, shell=True, check=True, stdout=subprocess.DEVNULL)


@pytest.fixture
def release():
    """One that keeps its own certificates, and so talks to the API server."""
    with cluster_release.release("restart") as made:
        made.install()
        made.settled("webhook")
        yield made


def logged(pod, text):
    """On the node, since nobody else can be asked while the API server is away."""
    metadata = pod["metadata"]
    of_pod = f"{metadata['namespace']}_{metadata['name']}_{metadata['uid']}"
    return any(text in each.read_text() for each in Path("/var/log/pods", of_pod).glob("*/*.log"))


@pytest.mark.timeout(300)
def test_pods_are_injected_after_the_api_server_has_died_and_nothing_of_ours_has(
    release, namespace
):
    until(lambda: injected(asked(namespace)), 60)
    (webhook,) = release.pods("webhook")
    try:
        run(STOP)
        until(lambda: logged(webhook, "trying again"), 60)  # it looks each half minute
    finally:
        run(START)
    until(lambda: injected(asked(namespace)), 60)
    assert injected(create(namespace, Case("afterwards")))
    assert list(map(identity, release.pods("webhook"))) == [identity(webhook)]
