# SPDX-License-Identifier: Apache-2.0
"""Releases on the cluster of KUBECONFIG: what Helm and the webhook leave each other.

Objects come and go, and none of their pods runs: a webhook that did would write its own
authority between two looks. Only E2E_IMAGE, an image of ours that the cluster has, is run.
They come first by their name: later modules keep a release for the rest of the session.
"""

import json
import os
import subprocess

import pytest
import yaml

from support.chart import charting, helm, manifests
from support.cluster_world import kubectl, namespace

if not os.environ.get("KUBECONFIG"):
    pytest.skip("KUBECONFIG names no cluster", allow_module_level=True)

IMAGE = os.environ.get("E2E_IMAGE")
VALUES = {
    "image": {"repository": "example.invalid/none", "pullPolicy": "Never"},
    "records": {"kubeletRoot": os.environ.get("KUBELET_ROOT", "/var/lib/kubelet")},
    "webhook": {"replicas": 1},
}
# Of nobody. The API server looks only whether it is in PEM.
CA = "LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0t"
PEM = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
CLUSTER_SCOPED = "mutatingwebhookconfigurations,clusterroles,clusterrolebindings"


class Release:
    """One release of the chart, in a namespace of its own."""

    def __init__(self, namespace, name="lens"):
        self.namespace, self.name = namespace, name
        self.helm = helm.Helm(namespace)

    def install(self, **values):
        self.helm.install(self.name, VALUES | values)

    def upgrade(self, **values):
        self.helm.upgrade(self.name, VALUES | values)

    def cluster_scoped(self):
        selector = f"app.kubernetes.io/instance={self.name}"
        found = kubectl("get", CLUSTER_SCOPED, "-l", selector, "-o", "name").split()
        return [each for each in found if f"/{self.namespace}-" in each]

    def configuration(self):
        """The webhooks that the API server knows of this release."""
        [name] = [each for each in self.cluster_scoped() if each.startswith("mutating")]
        return name, json.loads(kubectl("get", name, "-o", "json"))["webhooks"]

    def trust(self, ca):
        """As the webhook itself does it."""
        name, webhooks = self.configuration()
        path = "/webhooks/{}/clientConfig/caBundle"
        patch = [{"op": "add", "path": path.format(i), "value": ca} for i in range(len(webhooks))]
        kubectl("patch", name, "--type=json", "-p", json.dumps(patch))

    def trusted(self):
        return {each["clientConfig"].get("caBundle") for each in self.configuration()[1]}


@pytest.fixture
def release():
    with namespace() as name:
        release = Release(name)
        yield release
        release.helm.uninstall(release.name)


MODES = {
    "emptyDir": {},
    "persistentVolumeClaim": {"type": "persistentVolumeClaim", "claimName": "records"},
    "hostPath": {"type": "hostPath", "hostPath": "/var/lib/primus-lens/records"},
}


def records(mode):
    return {"records": VALUES["records"] | MODES[mode]}


def test_upgrades_and_rollbacks_leave_the_webhooks_ca_alone(release):
    release.install()
    release.trust(CA)
    for mode in ("hostPath", "persistentVolumeClaim", "emptyDir"):
        release.upgrade(webhook={"timeoutSeconds": 2}, **records(mode))
        assert release.trusted() == {CA}
    release.helm.rollback(release.name, 1)
    assert release.trusted() == {CA}
    assert release.configuration()[1][0]["timeoutSeconds"] == 3


@pytest.mark.parametrize("mode", ["hostPath", "persistentVolumeClaim"])
def test_the_records_of_each_mode_are_mounted_after_an_upgrade_and_back(release, mode):
    release.install()
    for each in (mode, "emptyDir"):
        release.upgrade(**records(each))
        name = f"daemonset/{release.name}-primus-lens-wandb-exporter"
        text = kubectl("-n", release.namespace, "get", name, "-o", "json")
        volumes = json.loads(text)["spec"]["template"]["spec"]["volumes"]
        assert [volume["name"] for volume in volumes][1:] == ["records"] * (each != "emptyDir")


def test_certificates_of_others_take_over_and_give_back(release):
    existing = {"mode": "existing", "existingSecret": "tls", "caBundle": PEM}
    release.install()
    release.trust(CA)
    release.upgrade(webhook={"certs": existing})
    assert release.trusted().isdisjoint({CA, None})
    assert not [each for each in release.cluster_scoped() if each.endswith("webhook")]
    release.upgrade()
    assert release.trusted() == {None}


@pytest.mark.skipif(not IMAGE, reason="E2E_IMAGE names no image")
def test_helm_test_sees_a_labelled_pod_injected(release):
    repository, tag = IMAGE.rsplit(":", 1)
    values = VALUES | {"image": {"repository": repository, "tag": tag}}
    release.helm.install(release.name, values, wait=True)
    release.helm.test(release.name)


def test_nothing_stays_in_the_cluster(release):
    release.install()
    release.trust(CA)
    release.upgrade(**records("hostPath"))
    assert len(release.cluster_scoped()) == 5
    release.helm.uninstall(release.name)
    assert release.cluster_scoped() == []


def test_two_releases_of_one_name_live_beside_each_other(release):
    release.install()
    with namespace() as other:
        second = Release(other)
        second.install()
        release.trust(CA)
        assert second.trusted() == {None}
        second.helm.uninstall(second.name)
        assert second.cluster_scoped() == []
    assert len(release.cluster_scoped()) == 5


@pytest.mark.parametrize(
    "case", sorted(path.name for path in (charting.CHART / "ci").glob("*-values.yaml"))
)
def test_this_cluster_takes_what_is_rendered_for_it(case, tmp_path):
    version = json.loads(kubectl("version", "-o", "json"))["serverVersion"]
    version = f"{version['major']}.{version['minor'].rstrip('+')}"
    values = yaml.safe_load((charting.CHART / "ci" / case).read_text())
    documents = charting.documents(values, version, namespace="default")
    for each in documents:
        # Namespaces that are not there; a dry run cannot make them first.
        if "namespace" in each["metadata"]:
            each["metadata"]["namespace"] = "default"
    path = tmp_path / "objects.json"  # no doubt about what is a string
    known = [
        each
        for each in documents
        # Pods of tests, whose service accounts a dry run has not made either.
        if each["kind"] != "Pod" and not each["apiVersion"].startswith(charting.FOREIGN)
    ]
    path.write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": known}))
    kubectl("apply", "--dry-run=server", "-f", str(path))


def test_kustomize_applies(tmp_path):
    minor = json.loads(kubectl("version", "-o", "json"))["serverVersion"]["minor"].rstrip("+")
    overlay = "kubernetes-1.20" if int(minor) < 21 else "self-signed"
    command = ["kubectl", "kustomize", manifests.MANIFESTS / overlay]
    text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    with namespace() as name:  # in place of the one that a dry run does not create
        path = tmp_path / "all.yaml"
        path.write_text(text.replace(f"namespace: {manifests.NAMESPACE}", f"namespace: {name}"))
        applied = kubectl("apply", "--dry-run=server", "-f", str(path))
    assert applied.count("(server dry run)") == text.count("\n---\n") + 1
