# SPDX-License-Identifier: Apache-2.0
import copy

import jsonpatch
import pytest
from hypothesis import HealthCheck, given
from hypothesis import strategies as st
from primus_lens_webhook.decision import INJECTED
from primus_lens_webhook.mutate import mutate
from primus_lens_webhook.options import Options

from support.examples import times
from support.webhook import generated_pods
from support.webhook.generated_pods import pods, qos_class, undone

OPTIONS = (
    Options(),
    Options(inject_volume_mode="hostPath", inject_host_path="/x"),
    Options(inject_volume_mode="persistentVolumeClaim", inject_claim_name="c"),
)
any_options = st.sampled_from(OPTIONS)
many = times(3, suppress_health_check=[HealthCheck.too_slow])


def applied(pod, options):
    before = copy.deepcopy(pod)
    mutation = mutate(pod, options)
    assert pod == before  # what is read is never written
    return mutation, jsonpatch.JsonPatch(mutation.operations).apply(pod)


@many
@given(pods, any_options)
def test_taking_away_what_was_added_gives_the_pod_back(pod, options):
    _, after = applied(pod, options)
    assert undone(after) == undone(pod)


@many
@given(pods, any_options)
def test_applied_twice_is_applied_once(pod, options):
    _, once = applied(pod, options)
    again, twice = applied(once, options)
    assert (again.operations, twice) == ([], once)


@many
@given(pods, any_options)
def test_the_qos_class_stays(pod, options):
    _, after = applied(pod, options)
    assert qos_class(after) == qos_class(pod)


@many
@given(pods, any_options)
def test_every_target_has_what_the_hook_needs(pod, options):
    mutation, after = applied(pod, options)
    for container in after["spec"]["containers"]:
        if mutation.decision.decision != INJECTED or (
            container["name"] not in mutation.decision.containers
        ):
            continue
        env = {each["name"]: each.get("value") for each in container["env"]}
        assert env.get("PRIMUS_LENS_POD_UID") is None  # never a value of the pod's own
        assert env["PRIMUS_LENS_WANDB_OUTPUT_PATH"].startswith("/var/run/primus-lens")
        mode = mutation.decision.python_env[container["name"]]
        if mode == "exec":
            assert container["command"][0] == "/opt/primus-lens/env"
        elif mode != "off":
            assert env["PYTHONPATH"].split(":")[0] == generated_pods.BOOTSTRAP
            assert "" not in env["PYTHONPATH"].split(":")[-1:]


@many
@given(generated_pods.anything)
def test_whatever_is_sent_gets_a_decision(value):
    pod = {"metadata": value, "spec": value}
    assert mutate(pod, OPTIONS[0]).decision.reason


@many
@given(pods, st.data())
def test_a_pod_with_a_part_replaced_by_anything_gets_a_decision(pod, data):
    pod = copy.deepcopy(pod)
    holder, key = data.draw(st.sampled_from(list(places(pod))))
    holder[key] = data.draw(generated_pods.anything)
    assert mutate(pod, OPTIONS[0]).decision.reason


def places(value):
    keys = value if isinstance(value, dict) else range(len(value))
    for key in keys:
        yield value, key
        if isinstance(value[key], (dict, list)):
            yield from places(value[key])


@pytest.mark.parametrize(
    ("resources", "expected"),
    [
        ({}, "BestEffort"),
        ({"limits": {"cpu": "1", "memory": "1Gi"}}, "Guaranteed"),
        ({"requests": {"cpu": "1"}}, "Burstable"),
        ({"limits": {"cpu": "0"}}, "BestEffort"),
    ],
)
def test_the_model_of_qos_classes_is_the_documented_one(resources, expected):
    assert qos_class({"spec": {"containers": [{"resources": resources}]}}) == expected
