# SPDX-License-Identifier: Apache-2.0
"""Pods as users have them, and how each must end with the hook: as it would without."""

import os
from typing import Any, NamedTuple

LABEL = {"primus-lens.io/wandb": "enabled"}
TRAIN = ["python3", "/train.py"]
RECORDS = 10
# More than the volume holds, as fast as it goes.
FLOOD = """
import wandb
run = wandb.init(mode="disabled")
row = {f"metric/{key}": key / 7 for key in range(200)}
for step in range(70_000):
    run.log(row)
print("trained")
"""
RESTRICTED = {
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "runAsNonRoot": True,
    "runAsUser": 4242,
    "capabilities": {"drop": ["ALL"]},
}
GUARANTEED = {"cpu": "200m", "memory": "300Mi"}
TMP = {"name": "tmp", "mountPath": "/tmp"}


def image(target):
    """The image of a target of tests/cluster/image/Dockerfile."""
    return os.environ.get("E2E_PYTHON_IMAGE", "") + ("" if target == "wandb" else f"-{target}")


class Case(NamedTuple):
    """One pod, and what must become of it."""

    name: str
    command: Any = TRAIN
    image: str = "wandb"
    env: dict = {}
    of_container: dict = {}
    of_pod: dict = {}
    annotations: dict = {}
    labels: dict = LABEL
    first: tuple = ()
    others: tuple = ()
    exit_code: int = 0
    prints: tuple = ("trained",)
    decision: Any = "injected"
    records: Any = RECORDS  # None: as many as the exporter has seen
    qos: str = "BestEffort"
    container: str = "train"


def pod(case):
    """The pod as it is created."""
    container = {
        "name": case.container,
        "image": image(case.image),
        "imagePullPolicy": "IfNotPresent",
        "env": [{"name": name, **value} for name, value in case.env.items()],
        **case.of_container,
    }
    if case.command is not None:
        container["command"] = list(case.command)
    common = {"image": image("wandb"), "imagePullPolicy": "IfNotPresent"}
    containers = [{**common, **each} for each in (*case.first, container, *case.others)]
    metadata = {"name": case.name, "labels": case.labels, "annotations": case.annotations}
    spec = {"restartPolicy": "Never", "containers": containers, **case.of_pod}
    spec.setdefault("terminationGracePeriodSeconds", 0)
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


def value(text):
    return {"value": text}


def resources(**kinds):
    return {"resources": kinds}


UNTOUCHED = {"decision": None, "records": 0}
FIELD = {"valueFrom": {"fieldRef": {"fieldPath": "metadata.annotations['path']"}}}
OWN_INIT = {
    "name": "prepare",
    "image": image("wandb"),
    "imagePullPolicy": "IfNotPresent",
    "command": ["python3", "-c", "print(1)"],
}

PODS = [
    Case("plain"),
    Case("fails-as-ever", env={"EXIT": value("3")}, exit_code=3),
    # PYTHONPATH.
    Case(
        "path-value",
        [*TRAIN, "of_the_image"],
        env={"PYTHONPATH": value("/of-the-image")},
        prints=("image", "trained"),
    ),
    Case(
        "path-value-from",
        [*TRAIN, "of_the_image"],
        env={"PYTHONPATH": FIELD},
        annotations={"path": "/of-the-image"},
        prints=("image", "trained"),
    ),
    Case(
        "path-env-from",
        [*TRAIN, "of_the_image"],
        of_container={"envFrom": [{"configMapRef": {"name": "env"}}]},
        prints=("image", "trained"),
    ),
    Case("path-of-the-image", [*TRAIN, "of_the_image"], "pythonpath", prints=("image", "trained")),
    Case(
        "no-command",
        None,
        of_container={"args": TRAIN},
    ),
    Case("shell", ["/bin/sh", "-c", "cd /tmp && exec python3 /train.py"]),
    Case(
        "shell-with-a-path-of-its-own",
        ["/bin/sh", "-c", "PYTHONPATH=/x python3 /train.py"],
        records=0,
    ),
    # Interpreters.
    Case("venv", ["/venv/bin/python", "/train.py"]),
    Case("conda-like", ["/conda/bin/python", "/train.py"]),
    Case(
        "sitecustomize-of-the-user",
        env={"PYTHONPATH": value("/of-the-user")},
        prints=("sitecustomize of the user", "trained"),
    ),
    # Who runs it.
    Case("non-root", of_pod={"securityContext": {"runAsNonRoot": True, "runAsUser": 1234}}),
    Case("root", of_pod={"securityContext": {"runAsUser": 0}}, prints=("trained 0",)),
    Case("group", of_pod={"securityContext": {"runAsUser": 1234, "fsGroup": 4321}}),
    Case(
        "restricted",
        of_container={"securityContext": RESTRICTED, "volumeMounts": [TMP]},
        of_pod={"volumes": [{"name": "tmp", "emptyDir": {}}]},
        prints=("trained 4242",),
    ),
    # Which containers.
    Case(
        "two-containers",
        others=({"name": "second", "command": ["python3", "-c", "import wandb"]},),
    ),
    Case(
        "the-second-container",
        annotations={"primus-lens.io/containers": "second"},
        container="second",
        first=({"name": "first", "command": ["python3", "-c", "import wandb"]},),
    ),
    Case(
        "a-sidecar-comes-first",
        first=({"name": "istio-proxy", "command": ["python3", "-c", "import wandb"]},),
    ),
    Case("own-init-container", of_pod={"initContainers": [OWN_INIT]}),
    # Quality of service.
    Case(
        "burstable",
        of_container=resources(requests={"cpu": "10m"}),
        qos="Burstable",
    ),
    Case(
        "guaranteed",
        of_container=resources(requests=GUARANTEED, limits=GUARANTEED),
        qos="Guaranteed",
    ),
    # Others.
    Case("host-network", of_pod={"hostNetwork": True}),
    Case("opted-out", labels={"primus-lens.io/wandb": "disabled"}, **UNTOUCHED),
    Case("never-asked", labels={}, **UNTOUCHED),
    Case(
        "asked-and-off",
        annotations={"primus-lens.io/python-env": "off"},
        records=0,
    ),
    Case("logs-without-pause", ["python3", "-c", FLOOD], records=None),
    Case("no-wandb", ["python3", "-c", "print('trained')"], records=0),
    Case("no-python", ["/bin/sh", "-c", "echo trained"], records=0),
    Case("no-shell", None, "no-shell", exit_code=125, prints=("usage",), records=0),
    Case(
        "name-conflict",
        of_pod={"volumes": [{"name": "primus-lens-hook", "configMap": {"name": "env"}}]},
        decision="skipped",
        records=0,
    ),
]
