# SPDX-License-Identifier: Apache-2.0
"""Label a pod: the chart installed by Helm, pods of every kind, their series on the exporter."""

import json
import re
import time

import pytest

from support import cluster_release, cluster_world
from support.cluster_release import asked, create, injected
from support.cluster_world import kubectl
from support.injected_pods import PODS, pod
from support.serving import until

cluster_release.require()


@pytest.fixture(scope="module")
def system():
    """A release that is ready, and leaves nothing behind."""
    with cluster_release.release("lens") as made:
        made.install({"replicas": 2})
        for component in cluster_release.COMPONENTS:
            made.settled(component)
        yield made
    assert made.cluster_scoped() == []


@pytest.fixture(scope="module")
def page(system):
    """Asks the exporter for its page."""
    until(lambda: system.page(path="-/ready"), 60)
    return system.page


@pytest.fixture(scope="module")
def training(system):
    """A namespace of users, in which all pods have run to their end."""
    with cluster_world.namespace() as name:
        until(lambda: injected(asked(name)), 60)  # API servers learn a moment later whom to trust
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
    create(training, case)
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


@pytest.mark.timeout(300)
def test_a_pod_that_only_sleeps_is_silent_and_one_that_trains_is_not(training, page):
    create(training, PODS[0]._replace(name="sleeps", command=["sleep", "600"]))
    lasts = ["python3", "-c", LASTING.replace("24", "600")]
    create(training, PODS[0]._replace(name="trains", command=lasts))
    of_pod = f'namespace="{training}",pod="sleeps",workload="sleeps",workload_kind="Pod"'
    series = rf"^primus_lens_exporter_pod_silent_seconds{{{of_pod}}} (\S+)$"
    found = until(lambda: re.search(series, page(), re.MULTILINE), 150)
    assert 55 < float(found[1]) < 150
    all_silent = re.findall(rf'_silent_seconds{{namespace="{training}",pod="([^"]+)"', page())
    assert all_silent == ["sleeps"]
    assert pods(training)["trains"]["status"]["phase"] == "Running"
    kubectl("-n", training, "delete", "pod", "sleeps", "trains")
    until(lambda: not re.search(series, page(), re.MULTILINE), 60)


def test_the_webhook_has_counted(training, system):
    assert "primus_lens_webhook_admissions_total{" in system.page("webhook", 10472)


def injected_now(namespace):
    """Whether a new pod would be; it is created in any case, and soon."""
    started = time.monotonic()
    found = asked(namespace)
    assert time.monotonic() - started < 8
    return injected(found)


@pytest.mark.timeout(200)
def test_pods_are_created_while_all_replicas_restart(training, system):
    deployment = f"deployment/{system.name}-primus-lens-wandb-webhook"
    kubectl("-n", system.namespace, "rollout", "restart", deployment)
    for _ in range(20):
        injected_now(training)
        time.sleep(0.5)
    system.settled("webhook")
    until(lambda: injected_now(training), 30)


@pytest.mark.timeout(200)
def test_a_new_authority_is_trusted(training, system):
    secret = f"secret/{system.name}-primus-lens-wandb-webhook-ca"

    def authority():
        flags = "--ignore-not-found", "-o", "jsonpath={.data}"
        return kubectl("-n", system.namespace, "get", secret, *flags)

    before = authority()
    kubectl("-n", system.namespace, "delete", secret)
    until(lambda: authority() not in ("", before), 120)
    until(lambda: injected_now(training), 60)


@pytest.mark.timeout(300)
def test_without_a_webhook_pods_are_created_all_the_same(training, system, page):
    deployment = f"deployment/{system.name}-primus-lens-wandb-webhook"
    kubectl("-n", system.namespace, "scale", deployment, "--replicas=0")
    until(lambda: not system.pods("webhook"), 60)
    system.settled("webhook")
    started = time.monotonic()
    create(training, PODS[0]._replace(name="no-webhook"))
    assert time.monotonic() - started < 10
    until(lambda: ended(pods(training)["no-webhook"]), 120)
    found = pods(training)["no-webhook"]
    assert found["status"]["phase"] == "Succeeded"
    assert not injected(found)
    until(lambda: 'primus_lens_exporter_pods{state="expected_not_injected"} 1.0' in page(), 30)
