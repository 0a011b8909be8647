# SPDX-License-Identifier: Apache-2.0
"""On a shared volume the webhook says who a pod is, never the pod."""

import jsonpatch
import pytest
from primus_lens_webhook.mutate import mutate
from primus_lens_webhook.options import Options

CLAIM = Options(inject_volume_mode="persistentVolumeClaim", inject_claim_name="c")
HOST_PATH = Options(inject_volume_mode="hostPath", inject_host_path="/x")
SHARED = pytest.mark.parametrize("options", [CLAIM, HOST_PATH])
UID = "PRIMUS_LENS_POD_UID"
EXPRESSION = "$(PRIMUS_LENS_POD_NAMESPACE)/$(PRIMUS_LENS_POD_NAME)/$(PRIMUS_LENS_POD_UID)"
FORGED = {"name": UID, "value": "of-another-pod"}


def injected(options, **container):
    pod = {"spec": {"containers": [{"name": "main", **container}]}}
    after = jsonpatch.JsonPatch(mutate(pod, options).operations).apply(pod)
    return after["spec"]["containers"][0]


def sources(container, name=UID):
    return [each.get("valueFrom") for each in container["env"] if each["name"] == name]


OURS = {"fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.uid"}}


@SHARED
@pytest.mark.parametrize("env", [[FORGED], [FORGED, FORGED], [{"name": UID}, {"name": "A"}]])
def test_every_entry_of_a_pods_own_is_overwritten(options, env):
    assert sources(injected(options, env=env)) == [OURS] * len(sources({"env": env}))


@SHARED
def test_an_entry_after_ours_does_not_win(options):
    once = injected(options)
    assert sources(injected(options, env=[*once["env"], FORGED])) == [OURS, OURS]


@SHARED
def test_entries_stay_where_they_are_beside_a_renamed_pythonpath(options):
    path = {"name": "PYTHONPATH", "valueFrom": {"configMapKeyRef": {"name": "n", "key": "k"}}}
    after = injected(options, env=[path, FORGED])
    assert [each["name"] for each in after["env"]][:3] == [
        "PRIMUS_LENS_WANDB_USER_PYTHONPATH", "PYTHONPATH", UID,
    ]  # fmt: skip
    assert sources(after) == [OURS]


@SHARED
def test_a_variable_of_envfrom_is_hidden_by_ours(options):
    after = injected(options, envFrom=[{"configMapRef": {"name": "forged"}}])
    assert sources(after) == [OURS]


def test_where_no_directory_depends_on_them_what_the_pod_sets_is_overwritten_too():
    assert sources(injected(Options(), env=[FORGED])) == [OURS]


@SHARED
@pytest.mark.parametrize("sub", [{}, {"subPath": "team/other"}, {"subPathExpr": "$(OTHER)"}])
def test_a_pods_own_mount_of_the_records_sees_its_own_directory_alone(options, sub):
    place = "/var/run/primus-lens/"
    own = {"name": "primus-lens-records", "mountPath": place, **sub}
    (mount, *_) = injected(options, volumeMounts=[own])["volumeMounts"]
    assert mount == {
        "name": "primus-lens-records", "mountPath": place, "subPathExpr": EXPRESSION,
    }  # fmt: skip
