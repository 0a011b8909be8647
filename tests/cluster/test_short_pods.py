# SPDX-License-Identifier: Apache-2.0
"""Pods that live for seconds, on the cluster of KUBECONFIG.

The kubelet deletes a pod's emptyDir within a second of its end, and here it ends as soon as
its last line is written. The exporter runs as a process on the node, which must be this
machine: KUBELET_ROOT says where its kubelet keeps pods.
"""

import json
import os
import re
import secrets
import subprocess
import time
from collections import Counter

import matrix
import pytest
from serving import Exporter, until

KUBELET_ROOT = os.environ.get("KUBELET_ROOT", "/var/lib/kubelet")
IMAGE = os.environ.get("E2E_PYTHON_IMAGE", "")
JOBS, SECONDS, LINES_A_SECOND = 100, 5, 20

if not (os.environ.get("KUBECONFIG") and IMAGE):
    pytest.skip("KUBECONFIG and E2E_PYTHON_IMAGE name no cluster", allow_module_level=True)
if not os.access(f"{KUBELET_ROOT}/pods", os.R_OK):
    pytest.skip(f"{KUBELET_ROOT} is not this machine's kubelet root", allow_module_level=True)

# The hook's own writer, and nothing else that would take time to start.
SCRIPT = """
import json, sys, time
sys.path.insert(0, "/hook")
from primus_lens_hook.writer import Writer
writer = Writer("/var/run/primus-lens/node_0/rank_0", 1 << 20)
for step in range(int(sys.argv[1])):
    data = {"loss": 1 / (step + 1), "left": int(sys.argv[1]) - step - 1}
    record = {"timestamp": time.time(), "step": step, "data": data, "run": "short"}
    assert writer.write(json.dumps(record).encode() + b"\\n")
    time.sleep(1 / 20)
    if data["left"] == 1:
        time.sleep(float(sys.argv[2]))
"""


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
        "command": ["python3", "-c", SCRIPT, str(lines), str(pause)],
        "volumeMounts": [
            {"name": "primus-lens-records", "mountPath": "/var/run/primus-lens"},
            {"name": "hook", "mountPath": "/hook", "readOnly": True},
        ],
    }
    spec = {
        "restartPolicy": "Never",
        "terminationGracePeriodSeconds": 0,
        "containers": [container],
        "volumes": [
            {"name": "primus-lens-records", "emptyDir": {}},
            {"name": "hook", "hostPath": {"path": str(matrix.ROOT / "hook")}},
        ],
    }
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name},
        "spec": {"backoffLimit": 0, "template": {"spec": spec}},
    }


@pytest.fixture
def namespace():
    name = f"lens-{secrets.token_hex(4)}"
    kubectl("create", "namespace", name)
    until(lambda: kubectl("-n", name, "get", "serviceaccounts", "default", "--ignore-not-found"))
    yield name
    kubectl("delete", "namespace", name, "--wait=false")


@pytest.fixture
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


@pytest.mark.timeout(900)
def test_every_line_of_a_hundred_short_jobs_is_counted(namespace, exporter):
    lines = {f"job-{n}": (1 + n % SECONDS) * LINES_A_SECOND for n in range(JOBS)}
    jobs = [job(name, count, n % 3) for n, (name, count) in enumerate(lines.items())]
    everything = json.dumps({"apiVersion": "v1", "kind": "List", "items": jobs})
    kubectl("-n", namespace, "create", "-f", "-", input=everything)
    counted, scrapes_of_last_value = {}, Counter()
    deadline = time.monotonic() + 800
    while min(scrapes_of_last_value[pod] for pod in counted or [""]) < 2 or len(counted) < JOBS:
        assert time.monotonic() < deadline, (len(counted), scrapes_of_last_value)
        time.sleep(5)
        page = exporter.page()
        counted |= values(page, namespace, "primus_lens_wandb_records_total")
        last = values(page, namespace, "primus_lens_wandb_metric", 'key="left"')
        scrapes_of_last_value.update(pod for pod, left in last.items() if left == 0)
    print(f"{sum(lines.values())} lines written, {sum(counted.values()):.0f} counted")  # noqa: T201
    assert {pod.rpartition("-")[0]: count for pod, count in counted.items()} == lines
    assert exporter.value("primus_lens_exporter_faults_total") == 0
