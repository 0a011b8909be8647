# SPDX-License-Identifier: Apache-2.0
"""Label a pod: the chart installed by Helm, pods of every kind, their series on the exporter."""

import contextlib
import json
import os
import re
import subprocess
import time
import urllib.request

import cluster_world
import pytest
from chart.helm import Helm
from cluster_world import kubectl
from injected_pods import PODS, pod
from serving import free_port, until

cluster_world.require_cluster()
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
        helm = Helm(name)
        helm.install(RELEASE, values)
        try:
            for kind in "daemonset", "deployment":
                selector = "-l", f"app.kubernetes.io/instance={RELEASE}"
                for each in kubectl("-n", name, "get", kind, *selector, "-o", "name").split():
                    kubectl("-n", name, "rollout", "status", each, "--timeout=180s")
            yield name
        finally:
            helm.uninstall(RELEASE)
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
        until(lambda: injected(name), 60)  # API servers learn a moment later whom to trust
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
    status = json.loads(found["metadata"].get("annotations", {}).get("primus-lens.io/status", "{}"))
    assert status.get("decision") == case.decision, status
    assert found["status"]["qosClass"] == case.qos
    of_pod = f'namespace="{training}",pod="{case.name}",container="{container}",'
    series = f"primus_lens_wandb_records_total{{{of_pod}"
    if case.records:
        until(lambda: series in page(), 30)
        (line,) = [each for each in page().splitlines() if each.startswith(series)]
        assert float(line.rpartition(" ")[2]) == case.records
    elif case.records == 0:
        assert series not in page()


TWO_RANKS = """
for rank in 0 1; do LOCAL_RANK=$rank python3 /train.py & done; wait
"""


@pytest.mark.timeout(300)
def test_a_job_of_two_pods_with_two_ranks_each(training, page):
    made = pod(PODS[0]._replace(command=["/bin/sh", "-c", TWO_RANKS]))
    template = {"metadata": {"labels": made["metadata"]["labels"]}, "spec": made["spec"]}
    spec = {"parallelism": 2, "completions": 2, "template": template}
    document = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "job"}, "spec": spec}
    kubectl("-n", training, "create", "-f", "-", input=json.dumps(document))
    ranks = rf'{{namespace="{training}",pod="(job-\w+)",.*local_rank="(\d)",.*}} 10.0$'
    pattern = "^primus_lens_wandb_records_total" + ranks
    until(lambda: len(set(re.findall(pattern, page(), re.MULTILINE))) == 4, 120)
    info = r'^primus_lens_wandb_run_info{.*pod="job-.*workload="job",workload_kind="Job".*$'
    until(lambda: len(re.findall(info, page(), re.MULTILINE)) == 4, 60)


LASTING = """
import time, wandb
run = wandb.init(mode="disabled")
for step in range(24):
    run.log({"loss": step}, step=step)
    time.sleep(0.5)
"""
LIMITS = {"cpu": "500m", "memory": "300Mi"}


@pytest.mark.timeout(200)
def test_samples_of_a_pod_tell_its_limits(training, page):
    case = PODS[0]._replace(
        name="sampled",
        command=["python3", "-c", LASTING],
        env={"PRIMUS_LENS_WANDB_ENHANCE_METRICS": {"value": "true"}},
        of_container={"resources": {"limits": LIMITS}},
    )
    kubectl("-n", training, "create", "-f", "-", input=json.dumps(pod(case)))
    found = until(lambda: samples(training, page()), 120)
    assert found["container_memory_limit_bytes"] == 300 << 20
    assert found["container_cpu_limit_cores"] == 0.5
    assert found["memory_utilization_ratio"] == pytest.approx(
        found["container_memory_used_bytes"] / (300 << 20)
    )
    assert 0 < found["container_memory_used_bytes"] < found["node_memory_used_bytes"]
    assert found["process_resident_memory_bytes"] > 10 << 20


def samples(namespace, text):
    """The system's values of the pod, by name; nothing until there are those of two looks."""
    pattern = rf'^primus_lens_system_(\w+){{namespace="{namespace}",pod="sampled",.*}} (\S+)$'
    found = {name: float(value) for name, value in re.findall(pattern, text, re.MULTILINE)}
    return found if "cpu_utilization_ratio" in found else {}


def test_the_webhook_has_counted(training, system):
    with forwarded(system, f"deployment/{RELEASE}-primus-lens-wandb-webhook", 10472) as url:
        text = until(lambda: fetch(url + "/metrics"), 30)
    assert "primus_lens_webhook_admissions_total" in text


def injected(namespace):
    """Whether a new pod would be, by a dry run; it is created in any case, and soon."""
    started = time.monotonic()
    arguments = "-n", namespace, "create", "--dry-run=server", "-o", "json", "-f", "-"
    made = json.loads(kubectl(*arguments, input=json.dumps(pod(PODS[0]._replace(name="dry")))))
    assert time.monotonic() - started < 8
    return "primus-lens.io/status" in made["metadata"].get("annotations", {})


@pytest.mark.timeout(200)
def test_pods_are_created_while_all_replicas_restart(training, system):
    deployment = f"deployment/{RELEASE}-primus-lens-wandb-webhook"
    kubectl("-n", system, "rollout", "restart", deployment)
    for _ in range(20):
        injected(training)
        time.sleep(0.5)
    kubectl("-n", system, "rollout", "status", deployment, "--timeout=120s")
    until(lambda: injected(training), 30)


@pytest.mark.timeout(200)
def test_a_new_authority_is_trusted(training, system):
    secret = f"{RELEASE}-primus-lens-wandb-webhook-ca"
    before = kubectl("-n", system, "get", "secret", secret, "-o", "jsonpath={.data}")
    kubectl("-n", system, "delete", "secret", secret)
    arguments = (
        "-n",
        system,
        "get",
        "secret",
        secret,
        "--ignore-not-found",
        "-o",
        "jsonpath={.data}",
    )
    until(lambda: kubectl(*arguments) not in ("", before), 120)
    until(lambda: injected(training), 60)


@pytest.mark.timeout(300)
def test_without_a_webhook_pods_are_created_all_the_same(training, system, page):
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
    until(lambda: 'primus_lens_exporter_pods{state="expected_not_injected"} 1.0' in page(), 30)
