# SPDX-License-Identifier: Apache-2.0
"""A real cluster for the tests of this directory, and pods that log on it.

The environment says what is there; a test that lacks something is skipped with the reason:
KUBECONFIG         the cluster
KUBELET_ROOT       where its kubelet keeps pods [/var/lib/kubelet]
E2E_IMAGE          an image of ours that its nodes have
E2E_PYTHON_IMAGE   one of tests/cluster/image that they have too
E2E_API_STOP, E2E_API_START   shell commands that do so with its API server
"""

import contextlib
import os
import re
import secrets
import subprocess
from pathlib import Path

import pytest

from support import short_job
from support.repository import ROOT
from support.serving import Exporter, until

KUBELET_ROOT = os.environ.get("KUBELET_ROOT", "/var/lib/kubelet")
IMAGE = os.environ.get("E2E_PYTHON_IMAGE", "")


def require_cluster():
    """Skip the module where there is no cluster to make pods on, here or elsewhere."""
    if not (os.environ.get("KUBECONFIG") and IMAGE):
        pytest.skip("KUBECONFIG and E2E_PYTHON_IMAGE name no cluster", allow_module_level=True)


def require():
    """Skip the module, too, where this machine is not the node: the exporter runs here."""
    require_cluster()
    if not os.access(f"{KUBELET_ROOT}/pods", os.R_OK):
        reason = f"{KUBELET_ROOT} is not this machine's kubelet root"
        pytest.skip(reason, allow_module_level=True)


# Handed over as text: the pod has none of our tests.
PROGRAM = Path(short_job.__file__).read_text()
RECORDS = "/var/run/primus-lens"


def kubectl(*arguments, **options):
    command = ["kubectl", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, **options)
    assert done.returncode == 0, done.stderr
    return done.stdout


def job(name, lines, pause):
    container = {
        "name": "train",
        "image": IMAGE,
        "imagePullPolicy": "IfNotPresent",
        "command": ["python3", "-c", PROGRAM, RECORDS, str(lines), str(pause)],
        "env": [{"name": "PYTHONPATH", "value": "/hook"}],
        "volumeMounts": [
            {"name": "primus-lens-records", "mountPath": RECORDS},
            {"name": "hook", "mountPath": "/hook", "readOnly": True},
        ],
    }
    spec = {
        "restartPolicy": "Never",
        "terminationGracePeriodSeconds": 0,
        "containers": [container],
        "volumes": [
            {"name": "primus-lens-records", "emptyDir": {}},
            {"name": "hook", "hostPath": {"path": str(ROOT / "hook")}},
        ],
    }
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name},
        "spec": {"backoffLimit": 0, "template": {"spec": spec}},
    }


@contextlib.contextmanager
def namespace():
    name = f"lens-{secrets.token_hex(4)}"
    kubectl("create", "namespace", name)
    until(lambda: kubectl("-n", name, "get", "serviceaccounts", "default", "--ignore-not-found"))
    yield name
    kubectl("delete", "namespace", name, "--wait=false")


@contextlib.contextmanager
def exporter():
    node = kubectl("get", "nodes", "-o", "jsonpath={.items[0].metadata.name}")
    flags = "--records.kubelet-root", KUBELET_ROOT, "--kubernetes.node-name", node
    environ = {"KUBECONFIG": os.environ["KUBECONFIG"]}
    with Exporter(None, *flags, environ=environ) as exporter:
        yield exporter


def values(page, namespace, name, key=""):
    """What the page says of each pod."""
    pattern = rf'^{name}{{namespace="{namespace}",pod="([^"]+)",container="train",.*{key}}} (\S+)$'
    return {pod: float(value) for pod, value in re.findall(pattern, page, re.MULTILINE)}
