# SPDX-License-Identifier: Apache-2.0
"""Pods that are made to cost an admission webhook as much as they can, of any size.

Each function of SHAPES makes a part of about `size` entries; `mixed` puts some of them together.
"""

import json
import random

LABELS = {"primus-lens.io/wandb": "enabled"}
CONTAINERS = "primus-lens.io/containers"
STATUS = "primus-lens.io/status"
EVICT = "cluster-autoscaler.kubernetes.io/safe-to-evict-local-volumes"
UNIT = {"name": "main"}


def pod(containers=(UNIT,), annotations=(), **spec):
    metadata = {"name": "p", "labels": LABELS, "annotations": dict(annotations)}
    return {"metadata": metadata, "spec": {"containers": list(containers), **spec}}


def names(size, prefix="c"):
    return [f"{prefix}{number}" for number in range(size)]


def named(size, **fields):
    return [{"name": name, **fields} for name in names(size)]


def main(**fields):
    return pod([{**UNIT, **fields}])


def asked(containers, wanted, **more):
    return pod(containers, {CONTAINERS: ",".join(wanted), **more})


def mounted(size, path):
    """Each mount is of another volume, the last one first."""
    mounts = [{"name": name, "mountPath": path} for name in reversed(names(size))]
    return pod([{**UNIT, "volumeMounts": mounts}], volumes=named(size, emptyDir={}))


def terms(size):
    expression = {"key": "k", "operator": "In", "values": ["v"]}
    return [{"matchExpressions": [expression]} for _ in range(size)]


def required(size):
    key = "requiredDuringSchedulingIgnoredDuringExecution"
    return {"nodeAffinity": {key: {"nodeSelectorTerms": terms(size)}}}


def gpus(size):
    return {"limits": {f"{name}/gpu": "9e999" for name in names(size)}}


def told(size):
    modes = dict.fromkeys(names(size), "x" * 20)
    return {
        STATUS: json.dumps({"decision": "injected", "python_env": {**modes, "main": "y" * size}})
    }


records = {"name": "primus-lens-records", "mountPath": "/var/run/primus-lens"}
SHAPES = {
    "containers": lambda size: pod(named(size)),
    "targets": lambda size: asked(named(size), names(size)),
    "targets with mounts": lambda size: pod(named(size, volumeMounts=[records])),
    "names without a container": lambda size: asked(named(size), names(size, "x")),
    "one name many times": lambda size: asked(named(size), ["c0"] * size),
    "mounts above ours": lambda size: mounted(size, "/opt"),
    "mounts elsewhere": lambda size: mounted(size, "/a/../b//c"),
    "mounts of one volume": lambda size: main(volumeMounts=named(size, mountPath="/var")),
    "one long mount": lambda size: main(volumeMounts=[{"name": "v", "mountPath": "/a" * size}]),
    "volumes": lambda size: pod(volumes=named(size, hostPath={"path": "/"})),
    "init containers": lambda size: pod(initContainers=named(size, resources=gpus(1))),
    "env": lambda size: main(env=named(size, value="v")),
    "PYTHONPATHs": lambda size: main(env=[{"name": "PYTHONPATH", "value": "/a"}] * size),
    "one long PYTHONPATH": lambda size: main(env=[{"name": "PYTHONPATH", "value": "/:" * size}]),
    "identities": lambda size: main(env=[{"name": "PRIMUS_LENS_POD_UID"}] * size),
    "envFrom": lambda size: main(envFrom=[{"secretRef": {"name": "s"}}] * size),
    "commands": lambda size: main(command=["x"] * size),
    "gpus": lambda size: main(resources=gpus(size)),
    "no quantity": lambda size: main(resources={"limits": {"cpu": ["x"] * size}}),
    "annotations": lambda size: pod(annotations=dict.fromkeys(names(size), "v")),
    "volumes to evict": lambda size: pod(annotations={EVICT: ",".join(names(size))}),
    "an earlier status": lambda size: pod(annotations=told(size)),
    "nested status": lambda size: pod(annotations={STATUS: "[" * size}),
    "control characters": lambda size: asked([UNIT], ["\x1b[31m\n\u202e" * size]),
    "one long name": lambda size: asked([{"name": "n" * size}], ["n" * size]),
    "a path for each target": lambda size: asked(
        named(size), names(size), **{"primus-lens.io/image-pythonpath": "p" * size}
    ),
    "affinity terms": lambda size: pod(affinity=required(size)),
    "tolerations": lambda size: pod(tolerations=[{"operator": "Exists"}] * size),
    "pull secrets": lambda size: pod(imagePullSecrets=named(size)),
    "node selector": lambda size: pod(nodeSelector=dict.fromkeys(names(size), "v")),
    "labels": lambda size: {**pod(), "metadata": {"labels": {**LABELS, "x" * size: "y"}}},
}  # fmt: skip


def mixed(seed, size):
    """Several shapes in one pod; of a field that two of them have, the later one counts."""
    chosen = random.Random(seed).sample(list(SHAPES.values()), 4)
    made = [shape(size // 4) for shape in chosen]
    container = {key: value for each in made for key, value in first(each).items()}
    spec = {key: value for each in made for key, value in each["spec"].items()}
    annotations = {
        k: v for each in made for k, v in each["metadata"].get("annotations", {}).items()
    }
    containers = [container, *spec.pop("containers")[1:]]
    return pod(containers, annotations, **spec)


def first(document):
    return document["spec"]["containers"][0] if document["spec"]["containers"] else {}


def reviewed(text):
    """A question with this text in the place of a field of the pod."""
    document = json.dumps({"kind": {"kind": "Pod"}, "operation": "CREATE", "object": pod()})
    field = '"spec": {"field": ' + text + ", "
    return b'{"request":' + document.replace('"spec": {', field).encode() + b"}"


TEXTS = {
    "empty objects": lambda size: "[" + "{}," * size + "{}]",
    "small objects": lambda size: "[" + '{"a":1},' * size + "{}]",
    "lists one in another": lambda size: "[" + "[[[[[[[[]]]]]]]]," * (size // 8) + "[]]",
    "deep": lambda size: "[" * size + "]" * size,
    "a long number": lambda size: "1" * size,
    "numbers": lambda size: "[" + "1e308," * size + "1]",
    "a key many times": lambda size: "{" + '"k":[],' * size + '"k":0}',
    "keys": lambda size: "{" + ",".join(f'"{name}":0' for name in names(size)) + "}",
    "a text of brackets": lambda size: '"' + "[{," * size + '"',
    "escapes": lambda size: '"' + "\\u00e9" * size + '"',
    "half a surrogate": lambda size: '"' + "\\ud800" * size + '"',
}
