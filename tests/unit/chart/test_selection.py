# SPDX-License-Identifier: Apache-2.0
"""Which pods the API server asks the webhook about, and what becomes of them without it."""

import pytest
from primus_lens_hook import contract

from support.chart import charting
from support.chart.charting import CASES, pod


def webhooks(values=None, **options):
    documents = charting.documents(values, **options)
    [configuration] = [each for each in documents if each["kind"].startswith("Mutating")]
    return configuration["webhooks"]


@pytest.mark.parametrize(("version", "count"), [("1.20", 0), ("1.29", 0), ("1.30", 3), ("1.36", 3)])
def test_match_conditions_are_only_where_they_are_known(version, count):
    values = {"webhook": {"matchConditions": [{"name": "mine", "expression": "true"}]}}
    for webhook in webhooks(values, version=version):
        assert len(webhook.get("matchConditions", ())) == count


def matches(selector, labels):
    """As the API server evaluates a label selector."""
    for key, value in selector.get("matchLabels", {}).items():
        if labels.get(key) != value:
            return False
    for each in selector.get("matchExpressions", ()):
        value = labels.get(each["key"])
        met = {
            "In": value in each.get("values", ()),
            "NotIn": value not in each.get("values", ()),
            "Exists": value is not None,
            "DoesNotExist": value is None,
        }
        if not met[each["operator"]]:
            return False
    return True


@pytest.mark.parametrize("namespace", [None, "enabled", "disabled", "else"])
@pytest.mark.parametrize("pod", [None, "enabled", "disabled", "else"])
def test_a_pod_meets_one_webhook_if_it_or_its_namespace_asks(pod, namespace):
    asked = 0
    for webhook in webhooks():
        of_pod = {contract.LABEL: pod} if pod else {}
        of_namespace = {contract.LABEL: namespace} if namespace else {}
        asked += matches(webhook["objectSelector"], of_pod) and matches(
            webhook["namespaceSelector"], of_namespace
        )
    assert asked == (pod == "enabled" or (pod is None and namespace == "enabled"))


@pytest.mark.parametrize("name", ["kube-system", "kube-public", "monitoring", "mine"])
def test_pods_of_excluded_namespaces_are_left_alone(name):
    labels = {"kubernetes.io/metadata.name": name, contract.LABEL: "enabled"}
    values = {"webhook": {"excludedNamespaces": ["mine"]}}
    assert not any(matches(each["namespaceSelector"], labels) for each in webhooks(values))
    labels["kubernetes.io/metadata.name"] = "research"
    assert all(matches(each["namespaceSelector"], labels) for each in webhooks(values))


@pytest.mark.parametrize("component", ["exporter", "webhook"])
def test_our_own_pods_opt_out_where_namespaces_have_no_names(component):
    labels = pod(CASES["extras"], component, version="1.20")["metadata"]["labels"]
    assert not any(matches(each["objectSelector"], labels) for each in webhooks())


def test_the_webhook_can_only_be_ignored():
    for webhook in webhooks():
        assert webhook["failurePolicy"] == "Ignore"
        assert webhook["timeoutSeconds"] <= 5
        assert (webhook["sideEffects"], webhook["reinvocationPolicy"]) == ("None", "IfNeeded")


@pytest.mark.parametrize("case", CASES)
def test_a_ca_is_rendered_only_where_it_is_given(case):
    if CASES[case].get("webhook", {}).get("enabled", True):
        existing = case == "existing-certificate"
        assert all(
            ("caBundle" in each["clientConfig"]) == existing for each in webhooks(CASES[case])
        )
