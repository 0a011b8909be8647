# SPDX-License-Identifier: Apache-2.0
import json
import subprocess
import sys

import pytest
import yaml
from primus_lens_webhook.options import DEFAULT_IMAGE

from support.environment import clean_environ

POD_SPEC = {"containers": [{"name": "main", "image": "i", "command": ["python", "train.py"]}]}
TEMPLATE = {"spec": POD_SPEC}
KINDS = {
    "Pod": ((), {"spec": POD_SPEC}),
    "Deployment": (("spec", "template"), {}),
    "StatefulSet": (("spec", "template"), {}),
    "DaemonSet": (("spec", "template"), {}),
    "ReplicaSet": (("spec", "template"), {}),
    "Job": (("spec", "template"), {}),
    "CronJob": (("spec", "jobTemplate", "spec", "template"), {}),
    "PodTemplate": (("template",), {}),
    "PyTorchJob": (("spec", "pytorchReplicaSpecs", "Worker", "template"), {}),
    "MPIJob": (("spec", "mpiReplicaSpecs", "Launcher", "template"), {}),
    "JobSet": (("spec", "replicatedJobs", 0, "template", "spec", "template"), {}),
    "RayCluster": (("spec", "workerGroupSpecs", 0, "template"), {}),
    "RayJob": (("spec", "rayClusterSpec", "headGroupSpec", "template"), {}),
    "LeaderWorkerSet": (("spec", "leaderWorkerTemplate", "workerTemplate"), {}),
    "KindOfTomorrow": (("spec", "a/b~c", "podTemplate"), {}),
    "List": (("items", 0, "spec", "template"), {}),
}


IMAGE = ("--inject.image", "registry.example/lens:1")


def inject(text, *flags):
    command = [sys.executable, "-m", "primus_lens_cli", "inject", "-f", "-", *IMAGE, *flags]
    return subprocess.run(command, input=text, capture_output=True, text=True, env=clean_environ())


def nested(path, leaf):
    for key in reversed(path):
        leaf = [leaf] if key == 0 else {key: leaf}
    return leaf


def at(document, path):
    for key in path:
        document = document[key]
    return document


@pytest.mark.parametrize(("kind", "path"), [(kind, path) for kind, (path, _) in KINDS.items()])
def test_the_pods_of_every_kind_are_found(kind, path):
    document = {"apiVersion": "x/v1", "kind": kind, **nested(path, TEMPLATE)}
    done = inject(json.dumps(document))
    assert (done.returncode, done.stderr) == (0, "")
    template = at(yaml.safe_load(done.stdout), path)
    assert template["spec"]["initContainers"][0]["name"] == "primus-lens-hook"
    assert "primus-lens.io/status" in template["metadata"]["annotations"]


TEXT = """\
# what this is
apiVersion: batch/v1
kind: Job
metadata:
  name: "train"  # the name
spec:
  fieldOfTomorrow: {b: 1, a: [x, y]}
  template:
    spec:
      restartPolicy: Never
      volumes:
      - configMap:
          name: c
          defaultMode: 0444
        name: c
      containers:
      - name: main
        image: train:1
        env:
        - name: ANSWER
          value: 'yes'
        - name: PYTHONPATH
          value: /workspace  # ours
---
apiVersion: v1
kind: ConfigMap
metadata:
  name: c
data:
  text: |
    a
      b
"""


def test_what_was_there_stays_as_it_was_written():
    done = inject(TEXT)
    left = iter(done.stdout.replace("  #", " #").splitlines())  # comments may move sideways
    for line in TEXT.replace("  #", " #").splitlines():
        expected = line.replace(": /workspace", f": {BOOTSTRAP}:/workspace")
        assert expected in left, expected  # in this order


BOOTSTRAP = "/opt/primus-lens/primus_lens_hook/bootstrap"


def test_its_own_output_is_left_as_it_is():
    once = inject(TEXT).stdout
    again = inject(once)
    assert again.stdout == once
    assert "already" in again.stderr


@pytest.mark.parametrize(
    ("label", "spec", "says"),
    [
        ("disabled", POD_SPEC, "Pod/p: skipped: opted-out"),
        ("enabled", {"containers": []}, "no-container"),
        ("enabled", {**POD_SPEC, "os": {"name": "windows"}}, "skipped: os (the hook is for Linux)"),
        ("enabled", {}, "left alone: no pod"),
    ],
)
def test_a_skip_is_explained_and_is_no_error(label, spec, says):
    metadata = {"name": "p", "labels": {"primus-lens.io/wandb": label}}
    done = inject(json.dumps({"kind": "Pod", "metadata": metadata, "spec": spec}))
    assert done.returncode == 0
    assert says in done.stderr


KNATIVE = {
    "apiVersion": "serving.knative.dev/v1",
    "kind": "Service",
    "spec": {"template": TEMPLATE},
}


@pytest.mark.parametrize(
    "document",
    [
        KNATIVE,
        {**KNATIVE, "apiVersion": "run.googleapis.com/v1"},
        {"apiVersion": "v1", "kind": "List", "items": [KNATIVE]},
    ],
    ids=["Service", "CloudRun", "List"],
)
def test_kinds_that_refuse_init_containers_are_left_alone(document):
    done = inject(json.dumps(document))
    assert "skipped: knative" in done.stderr
    assert "initContainers" not in done.stdout


@pytest.mark.parametrize(
    ("secrets", "warned"), [(None, True), ([], True), ([{"name": "theirs"}], False)]
)
def test_pull_secrets_that_take_the_place_of_the_service_accounts_are_warned_of(secrets, warned):
    """Kubernetes gives a pod those of its service account only where it has none."""
    spec = {**POD_SPEC, "imagePullSecrets": secrets}
    document = json.dumps({"kind": "Job", "spec": {"template": {"spec": spec}}})
    done = inject(document, "--inject.image-pull-secrets", "ours")
    assert ("service account" in done.stderr) == warned
    assert "service account" not in inject(document).stderr


def test_what_the_webhook_warns_of_is_said():
    done = inject(
        json.dumps({"kind": "Pod", "spec": {"containers": [{"name": "a", "image": "i"}]}})
    )
    assert "Pod/: warning: a PYTHONPATH of the image is hidden" in done.stderr


def test_pods_that_share_parts_by_anchors_are_injected_each_by_itself():
    text = yaml.safe_dump_all(
        [{"kind": "List", "items": [{"kind": "Pod", "spec": POD_SPEC}] * 2}], sort_keys=False
    )
    assert "*id" in text
    done = inject(text)
    first, second = yaml.safe_load(done.stdout)["items"]
    assert first == second
    assert len(first["spec"]["containers"][0]["volumeMounts"]) == 2
    assert "*" not in done.stdout


def test_a_pod_without_a_label_is_injected_for_the_command():
    done = yaml.safe_load(inject(json.dumps({"kind": "Pod", "spec": POD_SPEC})).stdout)
    status = json.loads(done["metadata"]["annotations"]["primus-lens.io/status"])
    assert status["reason"] == "command"


def test_an_image_that_nobody_can_pull_is_warned_of():
    done = inject(json.dumps({"kind": "Pod", "spec": POD_SPEC}), f"--inject.image={DEFAULT_IMAGE}")
    assert done.returncode == 0
    assert "no public registry" in done.stderr


def test_no_variable_stands_for_the_file():
    done = inject("", "--help")
    assert "a YAML or JSON file, - for standard input; repeatable [required]" in " ".join(
        done.stdout.split()
    )


def test_flags_say_what_is_injected():
    done = inject(json.dumps({"kind": "Pod", "spec": POD_SPEC}), "--inject.image", "r/x@sha256:1")
    assert yaml.safe_load(done.stdout)["spec"]["initContainers"][0]["image"] == "r/x@sha256:1"


@pytest.mark.parametrize(
    ("text", "flags", "status", "says"),
    [
        ("a: [", (), 1, "-: no YAML"),
        ("a: b: c", (), 1, "-: no YAML"),
        ("", ("-f", "/no/such"), 1, "/no/such: No such file"),
        ("", ("--inject.python-env", "magic"), 2, "expected one of auto, prepend"),
        ("", ("--inject.volume-mode", "hostPath"), 2, "--inject.host-path"),
        ("", ("--inject.records-size", "many"), 2, "--inject.records-size"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(text, flags, status, says):
    done = inject(text, *flags)
    assert done.returncode == status
    assert says in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_odd_documents_pass_through():
    done = inject("- 1\n---\nnull\n---\njust text\n")
    assert list(yaml.safe_load_all(done.stdout)) == [[1], "just text"]
