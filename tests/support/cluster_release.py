# SPDX-License-Identifier: Apache-2.0
"""A release of the chart on a real cluster, what it says, and what pods get from it.

tests/support/cluster_world.py says what it needs.
"""

import contextlib
import json
import os
import subprocess

import pytest

from support import cluster_world
from support.chart.helm import Helm
from support.cluster_world import kubectl
from support.injected_pods import Case, pod
from support.serving import until

IMAGE = os.environ.get("E2E_IMAGE", "")
COMPONENTS = {"exporter": "daemonset", "webhook": "deployment"}


def require():
    """Skip the module where there is no such cluster, here or elsewhere."""
    cluster_world.require_cluster()
    if not IMAGE:
        pytest.skip("E2E_IMAGE is unset", allow_module_level=True)


class Release:
    """One release, in a namespace of its own."""

    def __init__(self, namespace, name):
        self.namespace, self.name, self.helm = namespace, name, Helm(namespace)
        repository, tag = IMAGE.rsplit(":", 1)
        self.values = {
            "image": {"repository": repository, "tag": tag},
            "records": {"kubeletRoot": cluster_world.KUBELET_ROOT},
            "exporter": {"graceSeconds": 600},
        }

    def install(self, webhook=()):
        values = self.values | {"webhook": {"replicas": 1, **dict(webhook)}}
        self.helm.install(self.name, values)

    def upgrade(self, **records):
        webhook = {"replicas": 1}
        values = self.values | {"records": self.values["records"] | records, "webhook": webhook}
        self.helm.upgrade(self.name, values)

    def settled(self, component):
        """Wait until the new pods are ready and the old ones answer no more."""
        name = f"{COMPONENTS[component]}/{self.name}-primus-lens-wandb-{component}"
        kubectl("-n", self.namespace, "rollout", "status", name, "--timeout=120s")
        until(lambda: not [each for each in self.pods(component, leaving=True) if ready(each)], 60)

    def pods(self, component, leaving=False):
        """Those that are to stay, or those that are to go: kubelets take a minute to forget one."""
        labels = f"app.kubernetes.io/instance={self.name},app.kubernetes.io/component={component}"
        text = kubectl("-n", self.namespace, "get", "pods", "-l", labels, "-o", "json")
        found = json.loads(text)["items"]
        return [each for each in found if ("deletionTimestamp" in each["metadata"]) == leaving]

    def page(self, component="exporter", port=10471, path="metrics"):
        """Of its only pod, by way of the API server, whether it is ready or not; "" if none."""
        for each in self.pods(component):
            where = f"{self.namespace}/pods/{each['metadata']['name']}:{port}"
            command = ["kubectl", "get", "--raw", f"/api/v1/namespaces/{where}/proxy/{path}"]
            return subprocess.run(command, capture_output=True, text=True).stdout
        return ""

    def cluster_scoped(self):
        """Of every kind that there is, all that bears the namespace's name, but for itself."""
        kinds = kubectl("api-resources", "--namespaced=false", "--verbs=list", "-o", "name")
        names = kubectl("get", ",".join(kinds.split()), "-o", "name").split()
        return [each for each in names if f"/{self.namespace}-" in each]


@contextlib.contextmanager
def release(name):
    """One that is not installed yet; nothing of it stays."""
    with cluster_world.namespace() as namespace:
        made = Release(namespace, name)
        try:
            yield made
        finally:
            made.helm.uninstall(name)


def create(namespace, case, *flags):
    """What the API server has made of a pod. With `--dry-run=server`: would make."""
    arguments = "-n", namespace, "create", *flags, "-o", "json", "-f", "-"
    return json.loads(kubectl(*arguments, input=json.dumps(pod(case)), timeout=60))


def asked(namespace):
    """The pod that a labelled one would become now."""
    return create(namespace, Case("asked"), "--dry-run=server")


def injected(found):
    return "primus-lens.io/status" in found["metadata"].get("annotations", {})


def ready(found):
    return any(each["ready"] for each in found["status"].get("containerStatuses", ()))


def identity(found):
    """Changes when a pod is another one, or one of its containers has started again."""
    statuses = found["status"]["containerStatuses"]
    return found["metadata"]["uid"], [each["restartCount"] for each in statuses]
