# SPDX-License-Identifier: Apache-2.0
"""Pods that may run on a node that the payload is not for."""

import pytest
from primus_lens_webhook.mutate import mutate
from primus_lens_webhook.options import Options

OS, ARCH = "kubernetes.io/os", "kubernetes.io/arch"


def expression(key, operator, *values):
    return {"key": key, "operator": operator, "values": list(values)}


def affinity(*terms):
    terms = [{"matchExpressions": list(term)} for term in terms]
    required = {"nodeSelectorTerms": terms}
    return {
        "affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": required}}
    }


def reason(spec):
    done = mutate({"spec": {"containers": [{"name": "main"}], **spec}}, Options()).decision
    return done.reason if done.decision == "skipped" else "injected"


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        (affinity([expression(OS, "In", "windows")]), "os"),
        (affinity([expression(OS, "NotIn", "linux")]), "os"),
        (affinity([expression("beta.kubernetes.io/os", "In", "windows")]), "os"),
        (affinity([expression(ARCH, "In", "ppc64le")]), "arch"),
        (affinity([expression(ARCH, "In", "amd64", "s390x")]), "arch"),
        (affinity([expression(ARCH, "NotIn", "amd64", "arm64")]), "arch"),
        (affinity([expression("beta.kubernetes.io/arch", "In", "riscv64")]), "arch"),
        (affinity([expression(ARCH, "In", "amd64")], [expression(ARCH, "In", "s390x")]), "arch"),
        ({"nodeSelector": {"beta.kubernetes.io/os": "windows"}}, "os"),
        ({"nodeSelector": {"beta.kubernetes.io/arch": "ppc64le"}}, "arch"),
    ],
)
def test_a_pod_for_another_platform_is_left_alone(spec, expected):
    assert reason(spec) == expected


@pytest.mark.parametrize(
    "spec",
    [
        affinity([expression(OS, "In", "linux"), expression(ARCH, "In", "amd64", "arm64")]),
        affinity([expression(ARCH, "NotIn", "ppc64le")]),
        affinity([expression(ARCH, "In", "amd64", "s390x"), expression(ARCH, "NotIn", "s390x")]),
        {**affinity([expression(ARCH, "In", "amd64", "s390x")]), "nodeSelector": {ARCH: "amd64"}},
        affinity([expression(OS, "Exists"), expression("zone", "In", "windows")]),
        affinity([]),
        affinity(),
        {"affinity": {"nodeAffinity": None}},
    ],
)
def test_a_pod_for_our_platforms_is_injected(spec):
    assert reason(spec) == "injected"
