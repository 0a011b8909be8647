# SPDX-License-Identifier: Apache-2.0
"""Label a pod: the chart installed by Helm, pods of every kind, their series on the exporter."""

import contextlib
import json
import os
import subprocess
import time
import urllib.request

import cluster_world
import pytest
from cluster_world import kubectl
from injected_pods import PODS, pod
from serving import free_port, until

cluster_world.require()
helm_python = pytest.importorskip("helm_python")
from chart import charting  # noqa: E402  # needs Helm

IMAGE = os.environ.get("E2E_IMAGE") or pytest.skip("E2E_IMAGE is unset", allow_module_level=True)
RELEASE = "lens"
CLUSTER_SCOPED = "mutatingwebhookconfigurations,clusterroles,clusterrolebindings"


@pytest.fixture(scope="module")
def system():
    """The namespace of a release that is ready."""
    repository, tag = IMAGE.rsplit(":", 1)
    values = {
        "image": {"repository": repository, "tag": tag},
        "records": {"kubeletRoot": cluster_world.KUBELET_ROOT},
        "exporter": {"graceSeconds": 600},
    }
    with cluster_world.namespace() as name:
        config = helm_python.Config(namespace=name)
        config.install(charting.CHART, RELEASE, values)
        try:
            for kind in "daemonset", "deployment":
                selector = "-l", f"app.kubernetes.io/instance={RELEASE}"
                for each in kubectl("-n", name, "get", kind, *selector, "-o", "name").split():
                    kubectl("-n", name, "rollout", "status", each, "--timeout=180s")
            yield name
        finally:
            config.uninstall(RELEASE)
    left = kubectl(
        "get", CLUSTER_SCOPED, "-l", f"app.kubernetes.io/instance={RELEASE}", "-o", "name"
    )
    assert left == ""


@contextlib.contextmanager
def forwarded(namespace, target, port):
    local = free_port()
    command = ["kubectl", "-n", namespace, "port-forward", target, f"{local}:{port}"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield f"http://127.0.0.1:{local}"
    finally:
        process.terminate()
        process.wait()


def fetch(url):
    with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=10) as response:
        return response.read().decode()
    return ""


@pytest.fixture(scope="module")
def page(system):
    """Asks the exporter for its page."""
    with forwarded(system, f"daemonset/{RELEASE}-primus-lens-wandb-exporter", 10471) as url:
        until(lambda: fetch(url + "/-/ready"), 60)
        yield lambda: fetch(url + "/metrics")


@pytest.fixture(scope="module")
def training(system):
    """A namespace of users, in which all pods have run to their end."""
    with cluster_world.namespace() as name:
        kubectl("-n", name, "create", "configmap", "env", "--from-literal=PYTHONPATH=/of-the-image")
        items = [pod(each) for each in PODS]
        everything = {"apiVersion": "v1", "kind": "List", "items": items}
        kubectl("-n", name, "create", "-f", "-", input=json.dumps(everything))
        until(lambda: all(ended(each) for each in pods(name).values()), 400)
        yield name


def pods(namespace):
    found = json.loads(kubectl("-n", namespace, "get", "pods", "-o", "json"))["items"]
    return {each["metadata"]["name"]: each for each in found}


def ended(found):
    return found["status"]["phase"] in ("Succeeded", "Failed")


@pytest.mark.timeout(600)
@pytest.mark.parametrize("case", PODS, ids=lambda case: case.name)
def test_a_pod_ends_as_without_us_and_is_exported(training, page, case):
    found = pods(training)[case.name]
    container = case.container
    (state,) = [s for s in found["status"]["containerStatuses"] if s["name"] == container]
    logs = kubectl("-n", training, "logs", case.name, "-c", container)
    assert state["state"]["terminated"]["exitCode"] == case.exit_code, logs
    assert all(line in logs for line in case.prints), logs
    status = json.loads(found["metadata"]["annotations"].get("primus-lens.io/status", "{}"))
    assert status.get("decision") == case.decision, status
    assert found["status"]["qosClass"] == case.qos
    series = f'primus_lens_wandb_records_total{{namespace="{training}",pod="{case.name}",'
    if case.records:
        until(lambda: series in page(), 30)
        (line,) = [each for each in page().splitlines() if each.startswith(series)]
        assert f'container="{container}"' in line
        assert float(line.rpartition(" ")[2]) == case.records
    else:
        assert series not in page()


def test_the_webhook_has_counted(training, system):
    with forwarded(system, f"deployment/{RELEASE}-primus-lens-wandb-webhook", 10472) as url:
        text = until(lambda: fetch(url + "/metrics"), 30)
    assert "primus_lens_webhook_admissions_total" in text


@pytest.mark.timeout(300)
def test_without_a_webhook_pods_are_created_all_the_same(training, system):
    deployment = f"deployment/{RELEASE}-primus-lens-wandb-webhook"
    kubectl("-n", system, "scale", deployment, "--replicas=0")
    until(lambda: "webhook" not in kubectl("-n", system, "get", "pods", "-o", "name"), 60)
    case = PODS[0]
    started = time.monotonic()
    document = pod(case._replace(name="no-webhook"))
    kubectl("-n", training, "create", "-f", "-", input=json.dumps(document))
    assert time.monotonic() - started < 10
    until(lambda: ended(pods(training)["no-webhook"]), 120)
    found = pods(training)["no-webhook"]
    assert found["status"]["phase"] == "Succeeded"
    assert "primus-lens.io/status" not in found["metadata"].get("annotations", {})
