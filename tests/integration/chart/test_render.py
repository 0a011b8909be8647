# SPDX-License-Identifier: Apache-2.0
"""What Helm renders: valid for each Kubernetes, with names that fit, and nothing else's."""

import argparse
import json
import re
import runpy
import subprocess

import helm_python
import pytest
import yaml
from primus_lens_exporter.sampling.config import load
from primus_lens_exporter.settings import Settings
from primus_lens_hook import __version__, contract
from primus_lens_toolkit.flags import parse
from primus_lens_webhook.options import ENV_PREFIX
from primus_lens_webhook.settings import Settings as WebhookSettings

from support.chart import charting, helm, manifests
from support.chart.charting import CASES, container, flags, found, pod
from support.repository import ROOT

LONGEST = "r" * 52


@pytest.mark.parametrize("case", CASES)
def test_helm_finds_nothing_to_complain_about(case):
    helm.Helm("monitoring").lint(CASES[case])


@pytest.mark.exhaustive
@pytest.mark.parametrize("version", charting.VERSIONS)
@pytest.mark.parametrize("case", CASES)
def test_every_kubernetes_takes_what_is_rendered(case, version):
    documents = charting.documents(CASES[case], version)
    assert documents
    for document in documents:
        charting.check(document, version)


@pytest.mark.parametrize("case", CASES)
def test_names_fit_for_the_longest_release_and_namespace(case):
    for document in charting.documents(CASES[case], name=LONGEST + "r", namespace="n" * 63):
        assert all(len(name) <= 63 for name in charting.names(document)), document["metadata"]


@pytest.mark.parametrize("name", ["0", "1e3", "true", "null"])
def test_names_that_yaml_takes_for_something_else_stay_names(name):
    component = {"priorityClassName": name, "serviceAccount": {"name": name}}
    component |= {"extraArgs": [f"--x={name}"], "annotations": {name: name}}
    values = {
        "commonLabels": {name: name},
        "records": {"type": "persistentVolumeClaim", "claimName": name},
        "exporter": component,
        "webhook": {**component, "certs": {"mode": "certManager"}},
        "podMonitor": {"enabled": True, "namespace": name},
    }
    for document in charting.documents(values, "1.30", name=name, namespace=name):
        charting.check(document, "1.30")
        assert all(isinstance(each, str) for each in charting.names(document))


@pytest.mark.exhaustive
@pytest.mark.parametrize("case", sorted(set(CASES) - {"names", "extras"}))
@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({}, {"name": "other"}),
        ({}, {"namespace": "other"}),
        ({"name": LONGEST + "r"}, {"name": LONGEST + "x"}),
        ({"name": LONGEST}, {"name": LONGEST, "namespace": "other"}),
    ],
)
def test_two_releases_share_no_object(case, first, second):
    def keys(options):
        each = [
            (document["kind"], document["metadata"])
            for document in charting.documents(CASES[case], **options)
        ]
        return {(kind, metadata.get("namespace"), metadata["name"]) for kind, metadata in each}

    assert not keys(first) & keys(second)


def test_what_is_made_from_the_chart_is_up_to_date():
    for path, text in manifests.files():
        assert path.read_text() == text, "run `make manifests`"


def test_the_charts_version_of_the_app_is_ours():
    assert helm.loaded().metadata["appVersion"] == __version__


def test_a_released_chart_says_where_it_comes_from(tmp_path):
    subprocess.run(["cp", "-r", "--parents", "charts", tmp_path], check=True, cwd=ROOT)
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "release.yml").read_text())
    steps = workflow["jobs"]["package"]["steps"]
    [step] = [each for each in steps if each.get("name") == "complete Chart.yaml"]
    values = {"REPOSITORY": "Team/lens", "HOME_PAGE": "https://git.example/Team/lens"}
    command = [step["shell"], "-e", "-c", step["run"]]
    subprocess.run(command, check=True, cwd=tmp_path, env=values | {"VERSION": "v1.2.3"})
    chart = helm_python.Chart.load(tmp_path / "charts" / "primus-lens-wandb").metadata
    assert chart["home"] == chart["sources"][0] == "https://git.example/Team/lens"
    assert (ROOT / chart["icon"].removeprefix(f"{chart['home']}/raw/v1.2.3/")).is_file()
    [image] = yaml.safe_load(chart["annotations"]["artifacthub.io/images"])
    assert image["image"] == "ghcr.io/team/lens:1.2.3"
    links = yaml.safe_load(chart["annotations"]["artifacthub.io/links"])
    assert all(each["url"].startswith(chart["home"]) for each in links)


@pytest.mark.parametrize(
    ("version", "api"), [("1.20", "policy/v1beta1"), ("1.21", "policy/v1"), ("1.36", "policy/v1")]
)
def test_the_disruption_budget_is_of_the_api_that_is_there(version, api):
    assert found(version=version)["PodDisruptionBudget", "webhook"]["apiVersion"] == api


@pytest.mark.parametrize(("version", "policy"), [("1.26", None), ("1.27", "AlwaysAllow")])
def test_a_webhook_that_is_not_ready_keeps_no_node_from_being_drained(version, policy):
    budget = found(version=version)["PodDisruptionBudget", "webhook"]["spec"]
    assert budget.get("unhealthyPodEvictionPolicy") == policy


def test_tests_have_requests_and_limits_for_namespaces_with_a_quota():
    for name in "metrics", "injection":
        [container] = found()["Pod", name]["spec"]["containers"]
        given = container["resources"]
        assert given["requests"].keys() == given["limits"].keys() == {"cpu", "memory"}
    # The dry run is counted too.
    script = runpy.run_path(str(charting.CHART / "files" / "test_injection.py"))
    _, resources, _ = container["args"]
    [train] = script["pod"](json.loads(resources))["spec"]["containers"]
    assert train["resources"] == given


def test_the_secrets_of_injected_pods_are_objects_as_all_others():
    arguments = container(CASES["registry"], "webhook")["args"]
    assert "--inject.image-pull-secrets=training-pull" in arguments


@pytest.mark.parametrize("case", ["cert-manager", "existing-certificate"])
def test_with_certificates_of_others_the_webhook_has_no_rights(case):
    objects = found(CASES[case])
    assert ("ClusterRole", "webhook") not in objects
    assert ("Role", "webhook") not in objects
    assert pod(CASES[case], "webhook")["spec"]["automountServiceAccountToken"] is False


def test_rights_are_no_more_than_the_readme_says():
    objects = found()
    rules = [
        (name, each["resources"], each["verbs"], bool(each.get("resourceNames")))
        for (kind, name), document in objects.items()
        if kind in ("Role", "ClusterRole")
        for each in document["rules"]
    ]
    assert sorted(rules) == [
        ("exporter", ["pods"], ["list", "watch"], False),
        ("test", ["pods"], ["create"], False),
        ("test", ["rolebindings"], ["delete"], True),
        ("webhook", ["mutatingwebhookconfigurations"], ["get", "patch"], True),
        ("webhook", ["secrets"], ["create"], False),
        ("webhook", ["secrets"], ["get", "update"], True),
    ]


def test_the_exporter_has_one_capability_and_mounts_pods_alone():
    exporter = container({})
    capabilities = exporter["securityContext"]["capabilities"]
    assert capabilities == {"drop": ["ALL"], "add": ["DAC_READ_SEARCH"]}
    [mount] = exporter["volumeMounts"]
    assert (mount["readOnly"], mount["mountPropagation"]) == (True, "HostToContainer")
    [volume] = pod({})["spec"]["volumes"]
    assert volume["hostPath"]["path"] == "/var/lib/kubelet/pods"
    # The exporter reads pods/ below its kubelet root.
    assert mount["mountPath"] == flags({})["--records.kubelet-root"] + "/pods"


@pytest.mark.parametrize(
    ("case", "kubelet", "source"),
    [
        ("default", True, None),
        ("persistent-volume-claim", False, {"claimName": "wandb-records", "readOnly": True}),
        ("host-path", True, {"path": "/mnt/records", "type": "DirectoryOrCreate"}),
    ],
)
def test_webhook_and_exporter_agree_where_records_are(case, kubelet, source):
    mode = CASES[case].get("records", {}).get("type", "emptyDir")
    given = flags(CASES[case])
    volumes = {each.pop("name"): each for each in pod(CASES[case])["spec"]["volumes"]}
    assert ("--records.kubelet-root" in given, "kubelet-pods" in volumes) == (kubelet, kubelet)
    assert ("--records.shared-path" in given) == (source is not None)
    assert volumes.get("records") == (source and {mode: source})
    asked = flags(CASES[case], "webhook")
    assert asked["--inject.volume-mode"] == mode
    wanted = source and (source.get("claimName") or source.get("path"))
    assert (asked.get("--inject.claim-name") or asked.get("--inject.host-path")) == wanted


def contexts(case):
    """Of each pod, those of `helm test` too: its spec, and its own and its containers' contexts."""
    for document in charting.documents(CASES[case]):
        spec = document if document["kind"] == "Pod" else document.get("spec", {}).get("template")
        if spec:
            spec = spec["spec"]
            containers = spec["containers"] + spec.get("initContainers", [])
            yield spec, [each["securityContext"] for each in (spec, *containers)]


@pytest.mark.parametrize("case", ["gke-autopilot", "openshift"])
def test_on_clusters_that_refuse_it_nothing_is_asked_of_the_node(case):
    for spec, (own, *containers) in contexts(case):
        assert not any("hostPath" in volume for volume in spec.get("volumes", ()))
        assert own["runAsNonRoot"] is True
        assert all("add" not in each["capabilities"] for each in containers)
    first = helm.notes({}).split("WARNING: ")[1]
    assert "pod-security.kubernetes.io/enforce" in first  # without it no exporter starts
    assert "pod-security.kubernetes.io/enforce" not in helm.notes(CASES[case])


def test_on_openshift_users_are_left_to_the_cluster():
    for _, given in contexts("openshift"):
        assert not any({"runAsUser", "runAsGroup", "fsGroup"} & each.keys() for each in given)


@pytest.mark.parametrize("case", CASES)
def test_the_exporter_knows_every_flag_that_it_is_given(case):
    if CASES[case].get("exporter", {}).get("enabled", True):
        known = {field.metadata["flag"] for field in Settings.__dataclass_fields__.values()}
        assert flags(CASES[case]).keys() <= known


def test_the_exporter_takes_the_rules_of_sampling_that_it_is_given(tmp_path):
    case = CASES["sampling"]
    path = tmp_path / "sampling.yaml"
    path.write_text(found(case)["ConfigMap", "exporter"]["data"][path.name])
    assert [each.every for each in load(path)] == [10, None, None]
    [volume] = [each for each in pod(case)["spec"]["volumes"] if each["name"] == "sampling"]
    [mount] = [each for each in container(case)["volumeMounts"] if each["name"] == "sampling"]
    [item] = volume["configMap"]["items"]
    given = flags(case)["--sampling.config.file"]
    assert (given, item["key"]) == (f"{mount['mountPath']}/{item['path']}", path.name)


@pytest.mark.parametrize("case", CASES)
def test_the_webhook_starts_with_the_settings_that_it_is_given(case):
    if CASES[case].get("webhook", {}).get("enabled", True):
        webhook = container(CASES[case], "webhook")
        environ = {each["name"]: each.get("value", "") for each in webhook["env"]}
        arguments = argparse.ArgumentParser(), webhook["args"][1:], environ
        made = parse(WebhookSettings, *arguments, ENV_PREFIX)
        assert made.inject_image == webhook["image"]
        ports = {each["name"]: each["containerPort"] for each in webhook["ports"]}
        assert ports["webhook"] == made.webhook_listen_address.port
        assert ports["metrics"] == made.web_listen_address.port


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        ({}, f"primus-lens-wandb:{__version__}"),
        ({"registry": "r.example", "tag": "v9"}, "r.example/primus-lens-wandb:v9"),
        ({"tag": "v9", "digest": "sha256:" + "a" * 64}, "primus-lens-wandb@sha256:" + "a" * 64),
    ],
)
def test_one_image_is_everything_and_a_digest_wins(image, expected):
    values = {"image": image}
    assert container(values)["image"] == expected
    webhook = container(values, "webhook")
    environment = {each["name"]: each["value"] for each in webhook["env"]}
    assert {webhook["image"], environment["PRIMUS_LENS_WEBHOOK_INJECT_IMAGE"]} == {expected}


@pytest.mark.parametrize(
    ("annotations", "init", "words"),
    [
        ({}, [], "was not asked"),
        ({contract.STATUS_ANNOTATION: '{"decision": "skipped"}'}, [], "did not inject it"),
        ({contract.STATUS_ANNOTATION: '{"decision": "injected"}'}, [], "no init container"),
        (
            {contract.STATUS_ANNOTATION: '{"decision": "injected"}'},
            [{"name": contract.HOOK_VOLUME}],
            "",
        ),
    ],
)
def test_the_test_of_the_release_tells_an_injected_pod(annotations, init, words):
    script = runpy.run_path(str(charting.CHART / "files" / "test_injection.py"))
    pod = {"metadata": {"annotations": annotations}, "spec": {"initContainers": init}}
    complaint = script["complaint"](pod)
    assert words in complaint
    assert bool(complaint) == bool(words)
    assert script["pod"]({})["metadata"]["labels"] == {contract.LABEL: "enabled"}


@pytest.mark.parametrize("case", ["pod-monitor", "service-monitor"])
def test_monitors_keep_the_labels_of_the_training(case):
    kind = "PodMonitor" if case == "pod-monitor" else "ServiceMonitor"
    monitor = found(CASES[case])[kind, "exporter"]["spec"]
    limits = {name: monitor.get(name) for name in ("sampleLimit", "targetLimit", "labelLimit")}
    given = CASES[case]["podMonitor" if case == "pod-monitor" else "serviceMonitor"]
    assert limits == {name: given.get(name) for name in limits}
    assert monitor.get("podTargetLabels") == given.get("podTargetLabels")
    [endpoint] = monitor.get("podMetricsEndpoints") or monitor["endpoints"]
    assert endpoint["honorLabels"] is True
    assert monitor["selector"]["matchLabels"].items() <= pod({})["metadata"]["labels"].items()


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"exporter": {"resources": {"requests": None}}}, "exporter.resources is empty"),
        ({"webhook": {"replicas": 1}}, "webhook.replicas is below 2"),
        ({"records": {"type": "hostPath"}}, "PodSecurity baseline"),
    ],
)
def test_notes_warn(values, words):
    assert words in helm.notes(values)
    assert words not in helm.notes(CASES["extras"])


@pytest.mark.parametrize(
    "overlay", ["self-signed", "cert-manager", "prometheus-operator", "kubernetes-1.20"]
)
def test_kustomize_gives_injected_pods_the_image_of_the_webhook(overlay, tmp_path):
    subprocess.run(["cp", "-r", manifests.MANIFESTS, tmp_path], check=True)
    for path in tmp_path.glob("manifests/*/kustomization.yaml"):
        text = path.read_text()
        path.write_text(text.replace("newName: primus-lens-wandb", "newName: r.example/lens"))
    command = ["kubectl", "kustomize", tmp_path / "manifests" / overlay]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    images = re.findall(r"(?:image|value): (\S*lens\S*:\S+)", done.stdout)
    assert images == [f"r.example/lens:{__version__}"] * 3
    for document in yaml.safe_load_all(done.stdout):
        charting.check(document, "1.20" if overlay == "kubernetes-1.20" else "1.27")
