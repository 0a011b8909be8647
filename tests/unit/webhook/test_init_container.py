# SPDX-License-Identifier: Apache-2.0
"""The init container asks for nothing that its target does not."""

import pytest
from primus_lens_webhook import decision
from primus_lens_webhook.mutate import mutate
from primus_lens_webhook.options import Options

HARDENED = {
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "capabilities": {"drop": ["ALL"]},
}
SECCOMP = {"type": "RuntimeDefault"}
LEVEL = {"level": "s0:c1,c2"}


def mutated(target, **spec):
    containers = [{"name": "main", "image": "i", **target}]
    return mutate({"spec": {"containers": containers, **spec}}, Options())


def made(target, **spec):
    operations = mutated(target, **spec).operations
    (value,) = [each["value"] for each in operations if each["path"] == "/spec/initContainers"]
    return value[0]


@pytest.mark.parametrize(
    ("of_target", "expected"),
    [
        ({}, {}),
        ({"seccompProfile": SECCOMP}, {"seccompProfile": SECCOMP}),
        ({"runAsUser": 1000, "runAsGroup": 5}, {"runAsUser": 1000, "runAsGroup": 5}),
        ({"runAsUser": 0, "runAsNonRoot": False}, {"runAsUser": 0, "runAsNonRoot": False}),
        ({"runAsNonRoot": True}, {"runAsNonRoot": True}),
        ({"seLinuxOptions": LEVEL}, {"seLinuxOptions": LEVEL}),
        ({"privileged": True, "procMount": "Unmasked"}, {}),
        ({"capabilities": {"add": ["SYS_PTRACE"]}, "allowPrivilegeEscalation": True}, {}),
        ({"runAsUser": None}, {}),
    ],
)
def test_its_security_context(of_target, expected):
    """SCCs of OpenShift and PodSecurity judge each container."""
    found = made({"securityContext": of_target})["securityContext"]
    assert found == {**HARDENED, **expected}


@pytest.mark.parametrize("of_pod", [{"runAsUser": 0}, {"runAsUser": 7}, {"seccompProfile": {}}])
def test_what_the_pod_says_is_left_to_the_pod(of_pod):
    assert made({}, securityContext=of_pod)["securityContext"] == HARDENED


@pytest.mark.parametrize(
    "resources",
    [
        {"limits": {"cpu": "1", "memory": "2Gi"}},
        {"requests": {"cpu": "10m", "ephemeral-storage": "1Gi"}},
        {"requests": {"cpu": 1}, "limits": {"cpu": 2, "memory": "64Mi"}},
    ],
)
def test_its_resources_are_those_of_the_target(resources):
    """Kubernetes takes the greater of init containers and containers: nothing is added."""
    assert made({"resources": resources})["resources"] == resources


@pytest.mark.parametrize(
    "resources",
    [{}, {"limits": {"amd.com/gpu": "8"}}, {"claims": [{"name": "gpu"}]}, {"limits": None}],
)
def test_devices_and_claims_are_not_asked_for(resources):
    assert "resources" not in made({"resources": resources})


def test_it_is_like_the_first_target_not_like_other_containers():
    other = {"name": "other", "image": "i", "resources": {"requests": {"cpu": "5"}}}
    containers = [other, {"name": "main", "image": "i", "resources": {"requests": {"cpu": "1"}}}]
    asks = {"annotations": {"primus-lens.io/containers": "main"}}
    done = mutate({"metadata": asks, "spec": {"containers": containers}}, Options())
    (init,) = [o["value"][0] for o in done.operations if o["path"] == "/spec/initContainers"]
    assert init["resources"] == {"requests": {"cpu": "1"}}


def test_no_container_is_made_that_its_memory_limit_would_kill():
    assert mutated({"resources": {"limits": {"memory": "64Mi"}}}).decision.decision == "injected"
    done = mutated({"resources": {"limits": {"memory": "63Mi"}}}).decision
    assert (done.decision, done.reason) == ("skipped", decision.MEMORY_LIMIT)


def test_what_an_earlier_version_has_injected_is_not_in_the_way():
    """As in a template that `primus-lens inject` has made, of which pods come to the webhook."""
    first = {
        "name": "primus-lens-hook",
        "command": ["primus-lens", "hook", "install", "--to", "/x"],
    }
    start = ["/opt/primus-lens/bin/exec", "--", "python"]
    done = mutated({"command": start}, initContainers=[first])
    assert done.decision.decision == "injected"
    assert not [each for each in done.operations if "command" in each["path"]]
