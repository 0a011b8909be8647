# SPDX-License-Identifier: Apache-2.0
"""Any values that the schema takes render to what each Kubernetes takes."""

import string

import pytest
from hypothesis import HealthCheck, given
from hypothesis import strategies as st

from support.chart import charting, helm
from support.examples import times

FAST = times(0.6, suppress_health_check=list(HealthCheck))
# What YAML might take for something else, and what Go's templates might.
TEXTS = st.one_of(
    st.sampled_from(
        ["", "true", "null", "1e3", "~", "0x1", "a: b", "- c", "#", "{{ x }}", "'\"", "é"]
    ),
    st.text(string.printable, max_size=20),
)
NAMES = st.one_of(
    st.sampled_from(["0", "1e3", "true", "null", "012", "0x1f", "y", "2020-01-01"]),
    st.from_regex(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?", fullmatch=True),
)
PATHS = st.from_regex(r"/[a-z0-9]{1,9}(/[-._a-zA-Z0-9]{1,9}){0,3}/?", fullmatch=True)
PORTS = st.integers(1, 65535)
COUNTS = st.integers(0, 1 << 31)
LABEL = st.from_regex(r"[A-Za-z0-9]([-._A-Za-z0-9]{0,61}[A-Za-z0-9])?", fullmatch=True)
LABELS = st.dictionaries(st.one_of(LABEL, LABEL.map("example.org/".__add__)), LABEL, max_size=3)
ANNOTATIONS = st.dictionaries(LABEL, TEXTS, max_size=3)
QUANTITIES = st.from_regex(r"[1-9][0-9]{0,3}(m|k|Ki|Mi|Gi)?", fullmatch=True)
SHARES = st.one_of(st.integers(0, 9), st.integers(0, 100).map("{}%".format))
TRUTH = st.booleans()
SECRETS = st.lists(NAMES.map(lambda name: {"name": name}), max_size=2)
ENV = st.lists(st.fixed_dictionaries({"name": LABEL.map("E{}".format), "value": TEXTS}), max_size=2)
FLAGS = st.lists(TEXTS.map(lambda text: "--a.flag=" + text.replace("\n", " ")), max_size=2)
EXPRESSIONS = st.lists(
    st.fixed_dictionaries({"key": LABEL, "operator": st.just("In"), "values": st.lists(LABEL)}),
    max_size=2,
)
TOLERATIONS = st.lists(
    st.fixed_dictionaries({"key": LABEL, "operator": st.just("Equal"), "value": LABEL}), max_size=2
)
CONTAINERS = st.lists(
    st.fixed_dictionaries({"name": NAMES, "image": LABEL, "args": st.lists(TEXTS)})
)
VOLUMES = st.lists(NAMES.map(lambda name: {"name": name, "emptyDir": {}}), max_size=2)
MOUNTS = st.lists(st.fixed_dictionaries({"name": NAMES, "mountPath": PATHS}), max_size=2)
RESOURCES = st.fixed_dictionaries(
    {}, optional={"limits": st.fixed_dictionaries({"cpu": QUANTITIES, "memory": QUANTITIES})}
)
SECURITY = st.fixed_dictionaries({}, optional={"runAsUser": COUNTS, "runAsNonRoot": TRUTH})
AFFINITY = st.fixed_dictionaries(
    {}, optional={"nodeAffinity": st.just({"preferredDuringSchedulingIgnoredDuringExecution": []})}
)
PROBES = st.fixed_dictionaries({}, optional={"periodSeconds": st.integers(1, 99)})
STRATEGIES = st.fixed_dictionaries({"type": st.just("RollingUpdate")})
SPREAD = st.lists(
    st.fixed_dictionaries(
        {
            "topologyKey": LABEL,
            "maxSkew": st.integers(1, 3),
            "whenUnsatisfiable": st.just("DoNotSchedule"),
        }
    ),
    max_size=1,
)
PEER = LABELS.map(lambda labels: {"podSelector": {"matchLabels": labels}})
PEERS = st.lists(PEER, max_size=2)
RULES = st.lists(st.just({"apiGroups": [""], "resources": ["nodes"], "verbs": ["get"]}), max_size=1)
DURATION = st.from_regex(r"([1-9][0-9]?[smh])?", fullmatch=True)
URLS = st.sampled_from(["", "http://receiver:9090/api/v1/write?a=b&c=%20#d", "https://[::1]/"])
MAPPING = st.lists(st.fixed_dictionaries({"key": TEXTS, "name": LABEL, "scale": st.floats(0.1, 9)}))
WINDOW = st.sampled_from(["500ms", "5s", "1h"])
SAMPLING = st.lists(
    st.fixed_dictionaries(
        {"keys": st.lists(TEXTS.filter(bool), min_size=1, max_size=2)},
        optional={
            "every": st.integers(2, 1 << 31),
            "at_most_once_per": WINDOW,
            "ranks": st.sampled_from(["all", "first", "aggregate"]),
        },
    ),
    max_size=2,
)
RELABEL = st.lists(st.just({"action": "labeldrop", "regex": "pod_.*"}), max_size=1)

# By the end of a value's path; the longest end that is here is meant.
BY_NAME = {
    "additionalLabels": LABELS,
    "affinity": AFFINITY,
    "alerts": TRUTH,
    "allow": TEXTS,
    "annotations": ANNOTATIONS,
    "apiServerCidrs": st.lists(st.sampled_from(["10.0.0.0/8", "fd00::/8"]), min_size=1, max_size=2),
    "apiServerPorts": st.lists(PORTS, min_size=1, max_size=2),
    "basicAuth": st.just({}),
    "caBundle": st.just(""),
    "caSecretName": st.just(""),
    "claimName": st.just(""),
    "clusterDomain": st.sampled_from(["cluster.local", "k8s"]),
    "commonLabels": LABELS,
    "configurationAnnotations": ANNOTATIONS,
    "create": TRUTH,
    "deny": TEXTS,
    "digest": st.sampled_from(["", "sha256:" + "a" * 64]),
    "dnsPolicy": st.sampled_from(["", "Default", "ClusterFirstWithHostNet"]),
    "duration": st.sampled_from(["2160h", "1h30m"]),
    "enabled": TRUTH,
    "excludedNamespaces": st.lists(NAMES, max_size=2),
    "existingSecret": st.one_of(st.just(""), NAMES),
    "certs.existingSecret": st.just(""),
    "extraArgs": FLAGS,
    "extraContainers": CONTAINERS,
    "extraEnv": ENV,
    "extraInitContainers": CONTAINERS,
    "extraManifests": st.just([]),
    "extraRules": RULES,
    "extraVolumeMounts": MOUNTS,
    "extraVolumes": VOLUMES,
    "fullnameOverride": NAMES,
    "graceSeconds": st.integers(1, 1 << 31),
    "honorLabels": TRUTH,
    "hostNetwork": TRUTH,
    "hostPath": PATHS,
    "imagePullSecrets": SECRETS,
    "imageRegistry": st.sampled_from(["", "registry.example:5000/a"]),
    "interval": DURATION,
    "issuerRef": st.just({}),
    "kubeletRoot": PATHS,
    "labelLimit": COUNTS,
    "labels": LABELS,
    "livenessProbe": PROBES,
    "logFormat": st.sampled_from(["logfmt", "json"]),
    "logLevel": st.sampled_from(["debug", "error"]),
    "mapping": MAPPING,
    "matchConditions": st.lists(st.fixed_dictionaries({"name": LABEL, "expression": st.just("a")})),
    "matchExpressions": EXPRESSIONS,
    "matchLabels": LABELS,
    "maxUnavailable": SHARES,
    "metricRelabelings": RELABEL,
    "metricsPort": PORTS,
    "minAvailable": st.one_of(st.just(""), SHARES),
    "mode": st.sampled_from(["selfManaged", "certManager"]),
    "name": st.one_of(st.just(""), NAMES),
    "nameOverride": NAMES,
    "namespace": NAMES,
    "namespaceOverride": NAMES,
    "nodeSelector": LABELS,
    "peakFlopsPerGpu": st.sampled_from([0, 1, 1.3e15, "1.3e15"]),
    "podAnnotations": ANNOTATIONS,
    "podLabels": LABELS,
    "podLabelsInRunInfo": st.lists(TEXTS.filter(bool), max_size=2),
    "podSecurityContext": SECURITY,
    "podTargetLabels": st.lists(LABEL, max_size=2),
    "port": PORTS,
    "priorityClassName": st.one_of(st.just(""), NAMES),
    "prometheus": st.lists(PEER, min_size=1, max_size=2),  # none would be everybody
    "pullPolicy": st.sampled_from(["Always", "Never"]),
    "pythonEnv": st.sampled_from(["auto", "off"]),
    "ranks": st.integers(1, 4096),
    "readEmptyDirs": TRUTH,
    "readinessProbe": PROBES,
    "registry": st.sampled_from(["", "registry.example:5000/a"]),
    "relabelings": RELABEL,
    "remoteWrite": PEERS,
    "remoteWritePorts": st.lists(PORTS, min_size=1, max_size=2),
    "renewBefore": st.sampled_from(["720h", "20m"]),
    "replicas": st.integers(0, 9),
    "repository": st.sampled_from(["primus-lens-wandb", "a/b/c"]),
    "resources": RESOURCES,
    "revisionHistoryLimit": COUNTS,
    "runbookUrl": st.sampled_from(["", "https://wiki.example/r/"]),
    "sampleLimit": COUNTS,
    "sampling": SAMPLING,
    "scrapeTimeout": DURATION,
    "seLinuxOptions": st.sampled_from([{}, {"type": "spc_t"}]),
    "securityContext": SECURITY,
    "seriesPerNode": COUNTS,
    "seriesPerPod": COUNTS,
    "sizeLimit": QUANTITIES,
    "spoolBytes": st.integers(1, 1 << 45),
    "spoolHostPath": st.one_of(st.just(""), PATHS),
    "systemMetrics": TRUTH,
    "targetLimit": COUNTS,
    "tag": st.one_of(st.just(""), LABEL),
    "terminationGracePeriodSeconds": COUNTS,
    "timeoutSeconds": st.integers(1, 5),
    "tls": TRUTH,
    "tlsConfig": st.just({}),
    "tolerations": TOLERATIONS,
    "topologySpreadConstraints": SPREAD,
    "type": st.sampled_from(["emptyDir", "hostPath"]),
    "updateStrategy": STRATEGIES,
    "url": URLS,
}


def strategy(leaf):
    keys = leaf.split(".")
    ends = (".".join(keys[start:]) for start in range(len(keys)))
    return next(BY_NAME[end] for end in ends if end in BY_NAME)


def nested(flat):
    values = {}
    for leaf, value in flat.items():
        *path, key = leaf.split(".")
        section = values
        for each in path:
            section = section.setdefault(each, {})
        section[key] = value
    return values


LEAVES = sorted(charting.leaves(charting.defaults()))
STRATEGIES_OF = {leaf: strategy(leaf) for leaf in LEAVES}
SOME = (
    st.lists(st.sampled_from(LEAVES), unique=True, max_size=25)
    .flatmap(lambda some: st.fixed_dictionaries({leaf: STRATEGIES_OF[leaf] for leaf in some}))
    .map(nested)
)


def sensible(values):
    monitors = [values.get(kind, {}).get("enabled") for kind in ("podMonitor", "serviceMonitor")]
    webhook = {"port": 9443, "metricsPort": 10472, **values.get("webhook", {})}
    return not all(monitors) and webhook["metricsPort"] not in (443, webhook["port"])


@pytest.mark.exhaustive
@FAST
@given(values=SOME.filter(sensible), version=st.sampled_from(charting.VERSIONS))
def test_valid_values_render_to_what_kubernetes_takes(values, version):
    for document in charting.documents(values, version):
        charting.check(document, version)
        assert all(len(name) <= 63 for name in charting.names(document))


@pytest.mark.exhaustive
@FAST
@given(text=TEXTS)
def test_texts_arrive_as_they_were_given(text):
    values = {"exporter": {"keys": {"allow": text}, "extraEnv": [{"name": "E", "value": text}]}}
    pods = charting.by_name(charting.documents(values))["DaemonSet", "exporter"]["spec"]["template"]
    exporter = pods["spec"]["containers"][0]
    assert exporter["env"][1]["value"] == text
    assert (f"--keys.allow={text}" in exporter["args"]) == bool(text)


WRONG = st.one_of(
    st.just([1]), st.just({"unknown-key": {"x": 1}}), st.just(-1), st.just("\x00/*"), st.just(1.5)
)


@FAST
@given(leaf=st.sampled_from(LEAVES), value=WRONG)
def test_whatever_is_given_is_rendered_or_refused_by_name(leaf, value):
    try:
        assert charting.documents(nested({leaf: value}))
    except helm.HelmError as refused:
        error = str(refused)
    else:
        error = leaf
    assert leaf.split(".")[-1] in error
