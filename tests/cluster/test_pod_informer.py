# SPDX-License-Identifier: Apache-2.0
"""On the cluster of KUBECONFIG, in a namespace that is deleted again. No node is touched:
the pods are bound to nodes that do not exist, where Kubernetes creates them but runs none."""

import concurrent.futures
import contextlib
import os
import secrets
import sys
import time

import pytest
from primus_lens_exporter.pods.cache import PodCache
from primus_lens_exporter.pods.informer import Pace, PodInformer
from primus_lens_exporter.pods.telemetry import KubernetesTelemetry
from primus_lens_toolkit.kubernetes_api import Api
from prometheus_client import CollectorRegistry

from support.cluster_access import Wire, in_the_cluster, kubeconfig
from support.serving import until

if not os.environ.get("KUBECONFIG"):
    pytest.skip("KUBECONFIG names no cluster", allow_module_level=True)

client = pytest.importorskip("kubernetes.client")
config = pytest.importorskip("kubernetes.config")

LABEL = "example.com/team"
PACE = Pace(watch=3.0, margin=1.0, first=0.1, longest=0.5)


def spec(node):
    container = {"name": "main", "image": "example.invalid/none:1", "imagePullPolicy": "Never"}
    return {"nodeName": node, "terminationGracePeriodSeconds": 0, "containers": [container]}


def body(name, node, **labels):
    return {"metadata": {"name": name, "labels": labels}, "spec": spec(node)}


class Cluster:
    def __init__(self, connection):
        self.name = f"lens-{secrets.token_hex(4)}"
        self.core = client.CoreV1Api(connection)
        self.apps = client.AppsV1Api(connection)
        self.batch = client.BatchV1Api(connection)
        self.rbac = client.RbacAuthorizationV1Api(connection)

    def ready(self):
        """Whether pods can be created: their service account is there, with its Secret."""
        with contextlib.suppress(client.ApiException):
            self.create("probe", "nowhere")
            self.delete("probe")
            return True

    def create(self, name, node, **labels):
        """Create a pod; returns its UID."""
        made = self.core.create_namespaced_pod(self.name, body(name, node, **labels))
        return made.metadata.uid

    def delete(self, name):
        self.core.delete_namespaced_pod(name, self.name, grace_period_seconds=0)


@pytest.fixture(scope="module")
def cluster():
    connection = config.new_client_from_config(os.environ["KUBECONFIG"])
    cluster = Cluster(connection)
    cluster.core.create_namespace({"metadata": {"name": cluster.name}})
    until(cluster.ready)
    yield cluster
    cluster.core.delete_namespace(cluster.name)
    connection.close()


@pytest.fixture
def node():
    return f"absent-{secrets.token_hex(4)}"


@pytest.fixture
def following(monkeypatch):
    """Starts a watch; all of them are stopped at the end."""
    watches = []

    def follow(node, path=None, pace=PACE):
        if path:
            monkeypatch.setenv("KUBECONFIG", str(path))
        cache, registry = PodCache(), CollectorRegistry()
        telemetry = KubernetesTelemetry(registry, cache)
        watches.append(PodInformer(Api(), cache, telemetry, node, [LABEL], pace))
        watches[-1].start()
        return cache, registry

    yield follow
    for each in watches:
        each.stop()
        assert not each._thread.is_alive()


def result(registry, verb, result):
    labels = {"verb": verb, "result": result}
    return registry.get_sample_value("primus_lens_exporter_kubernetes_requests_total", labels)


def test_pods_come_change_and_go(cluster, node, following):
    first = cluster.create("first", node, **{LABEL: "a"})
    cache, _ = following(node)
    until(lambda: cache.synced)
    assert cache.get(first)[1:5] == (cluster.name, "first", node, ("main",))
    second = cluster.create("second", node)
    elsewhere = cluster.create("elsewhere", node + "-other")
    until(lambda: cache.get(second))
    cluster.core.patch_namespaced_pod(
        "second", cluster.name, {"metadata": {"labels": {LABEL: "b"}}}
    )
    until(lambda: cache.get(second).labels == (("label_example_com_team", "b"),))
    cluster.delete("first")
    until(lambda: first in cache._gone)
    again = cluster.create("first", node, **{LABEL: "c"})
    until(lambda: cache.get(again))
    assert [cache.get(uid).labels[0][1] for uid in (first, again)] == ["a", "c"]
    assert cache.get(elsewhere) is None


def test_controllers_pods_belong_to_what_the_user_created(cluster, node, following):
    cache, _ = following(node)
    template = {"metadata": {"labels": {"app": node}}, "spec": spec(node)}
    selected = {"selector": {"matchLabels": {"app": node}}, "template": template}
    named = {"name": node}
    cluster.apps.create_namespaced_deployment(cluster.name, {"metadata": named, "spec": selected})
    stateful = {"metadata": named, "spec": {**selected, "serviceName": "none"}}
    cluster.apps.create_namespaced_stateful_set(cluster.name, stateful)
    once = {"metadata": {"name": node}, "spec": {"template": template}}
    once["spec"]["template"] = {"spec": {**spec(node), "restartPolicy": "Never"}}
    cluster.batch.create_namespaced_job(cluster.name, once)
    until(lambda: len(cache) >= 3, 30)
    found = {(pod.workload_kind, pod.workload) for pod in cache._pods.copy().values()}
    assert found == {("Deployment", node), ("StatefulSet", node), ("Job", node)}


def test_watches_end_and_go_on_without_another_list(cluster, node, following):
    cache, registry = following(node)
    until(lambda: result(registry, "watch", "ok") == 2)
    uid = cluster.create(f"late-{node}", node)
    until(lambda: cache.get(uid))
    assert result(registry, "list", "ok") == 1


@pytest.mark.parametrize("way", ["kubeconfig", "in the cluster"])
def test_a_right_that_is_missing_and_then_granted(
    cluster, node, following, tmp_path, monkeypatch, way
):
    uid = cluster.create(f"guarded-{node}", node)
    account = {"metadata": {"name": node}}
    cluster.core.create_namespaced_service_account(cluster.name, account)
    made = cluster.core.create_namespaced_service_account_token(node, cluster.name, {"spec": {}})
    path = kubeconfig(tmp_path, user={"token": made.status.token})
    if way == "in the cluster":
        path = in_the_cluster(monkeypatch, tmp_path, made.status.token)
    cache, registry = following(node, path)
    until(lambda: result(registry, "list", "forbidden") >= 2)
    assert not cache.synced
    rule = {"apiGroups": [""], "resources": ["pods"], "verbs": ["list", "watch"]}
    cluster.rbac.create_cluster_role({"metadata": {"name": node}, "rules": [rule]})
    subject = {"kind": "ServiceAccount", "name": node, "namespace": cluster.name}
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": node}
    binding = {"metadata": {"name": node}, "roleRef": role, "subjects": [subject]}
    try:
        cluster.rbac.create_cluster_role_binding(binding)
        until(lambda: cache.get(uid))
        until(lambda: result(registry, "watch", "ok"))
    finally:
        cluster.rbac.delete_cluster_role_binding(node)
        cluster.rbac.delete_cluster_role(node)


def test_a_token_that_is_nobodys(node, following, tmp_path):
    cache, registry = following(node, kubeconfig(tmp_path, user={"token": "nobody"}))
    until(lambda: result(registry, "list", "unauthorized") >= 2)
    assert not cache.synced


def test_a_connection_that_breaks_and_one_that_falls_silent(cluster, node, following, tmp_path):
    with Wire(tmp_path) as wire:
        first = cluster.create(f"first-{node}", node)
        cache, registry = following(node, wire.kubeconfig)
        until(lambda: cache.get(first))
        wire.down()
        until(lambda: result(registry, "watch", "unreachable"))
        second = cluster.create(f"second-{node}", node)
        assert (cache.get(first).name, cache.get(second)) == (f"first-{node}", None)
        wire.up()
        until(lambda: cache.get(second))
        wire.frozen.set()
        third = cluster.create(f"third-{node}", node)
        until(lambda: result(registry, "watch", "silent"))
        assert cache.get(third) is None
        wire.down()
        wire.frozen.clear()
        wire.up()
        until(lambda: cache.get(third))


def test_five_thousand_pods_of_a_node(cluster, node, following, capsys):
    cache, _ = following(node)
    until(lambda: cache.synced)
    names = [f"p{number}-{node}" for number in range(5000)]
    began = time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        uids = list(pool.map(lambda name: cluster.create(name, node), names))
    created = time.monotonic()
    until(lambda: all(map(cache.get, uids)))
    watched = time.monotonic()
    listed, registry = following(node)
    until(lambda: listed.synced)
    took = time.monotonic() - watched
    with capsys.disabled():
        sys.stdout.write(f"\n5000 pods created in {created - began:.1f} s and known then, ")
        sys.stdout.write(f"{watched - created:.2f} s later; listed in {took:.2f} s\n")
    for uid, name in zip(uids, names, strict=True):
        assert cache.get(uid).name == name
        assert listed.get(uid) in (cache.get(uid), None)  # None: already collected as orphaned
    assert result(registry, "list", "ok") > 1
