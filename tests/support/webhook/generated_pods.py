# SPDX-License-Identifier: Apache-2.0
"""Pods of every shape, the QoS class that Kubernetes gives them, and an injection undone."""

import copy

from hypothesis import strategies as st

OURS = ("primus-lens-hook", "primus-lens-records")
BOOTSTRAP = "/opt/primus-lens/primus_lens_hook/bootstrap"
ADDED_ENV = ("PRIMUS_LENS_WANDB_OUTPUT_PATH", "PRIMUS_LENS_WANDB_MAX_BYTES")
IDENTITY = ("PRIMUS_LENS_POD_NAMESPACE", "PRIMUS_LENS_POD_NAME", "PRIMUS_LENS_POD_UID")
EVICT = "cluster-autoscaler.kubernetes.io/safe-to-evict-local-volumes"

words = st.sampled_from(["a", "b~1", "c/d", "e f", "ünï"])
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | words,
    lambda below: st.lists(below, max_size=2) | st.dictionaries(words, below, max_size=2),
    max_leaves=4,
)
tomorrow = st.dictionaries(st.sampled_from(["fieldOfTomorrow", "x/y~z"]), anything, max_size=2)


def maybe(**fields):
    """Each of them, absent or there; then also null, as YAML's `key:` is."""
    return st.fixed_dictionaries({}, optional={k: v | st.none() for k, v in fields.items()})


def joined(*strategies):
    def merge(parts):
        return {key: value for part in parts for key, value in part.items()}

    return st.tuples(*strategies).map(merge)


source = st.just({"configMapKeyRef": {"name": "n", "key": "k"}})
entry = joined(
    st.fixed_dictionaries({"name": st.sampled_from(["PYTHONPATH", "A", "B", IDENTITY[2]])}),
    st.one_of(
        st.fixed_dictionaries({"value": st.sampled_from(["", "/a", "/a:/b", "$(A):/x", "/a::/b"])}),
        st.fixed_dictionaries({"valueFrom": source}),
        st.just({}),
    ),
    tomorrow,
)
amounts = maybe(
    cpu=st.sampled_from(["0", "100m", "1", 1, 0.5]),
    memory=st.sampled_from(["0", "64Mi", "1Gi"]),
    **{"nvidia.com/gpu": st.sampled_from(["1", 8])},
)
resources = st.one_of(maybe(requests=amounts, limits=amounts), amounts.map(lambda a: {"limits": a}))
mount = joined(
    st.fixed_dictionaries(
        {"name": st.just("data"), "mountPath": st.sampled_from(["/data", "/opt", "/run"])}
    ),
    tomorrow,
)


def containers(name):
    return joined(
        st.just({"name": name, "image": "i"}),
        maybe(
            command=st.lists(words, max_size=2),
            args=st.lists(words, max_size=1),
            env=st.lists(entry, max_size=3),
            envFrom=st.lists(st.just({"secretRef": {"name": "s"}}), max_size=1),
            volumeMounts=st.lists(mount, max_size=1),
            resources=resources,
        ),
        tomorrow,
    )


def lists(prefix, least):
    return st.integers(least, 3).flatmap(
        lambda count: st.tuples(*(containers(f"{prefix}{each}") for each in range(count))).map(list)
    )


metadata = maybe(
    name=st.just("p"),
    labels=st.just({"primus-lens.io/wandb": "enabled"}),
    annotations=joined(
        st.dictionaries(
            st.sampled_from([EVICT, "other/x~y"]), st.sampled_from(["", "data"]), max_size=2
        ),
        st.sampled_from([{}, {"primus-lens.io/containers": "main0"}]),
        st.sampled_from(
            [{}, *({"primus-lens.io/python-env": m} for m in ("exec", "prepend", "off"))]
        ),
        st.sampled_from([{}, {"primus-lens.io/image-pythonpath": "/image"}]),
    ),
)
spec = joined(
    st.fixed_dictionaries({"containers": lists("main", 1)}),
    maybe(
        initContainers=lists("init", 0),
        volumes=st.just([{"name": "data", "emptyDir": {}}]),
        securityContext=maybe(runAsUser=st.sampled_from([0, 1000])),
    ),
    tomorrow,
)
any_pods = st.fixed_dictionaries({"spec": spec}, optional={"metadata": metadata | st.none()})


def guaranteed(pod):
    """The same, with limits everywhere, which chance alone gives to few."""
    pod = copy.deepcopy(pod)
    for each in (pod["spec"].get("initContainers") or []) + pod["spec"]["containers"]:
        each["resources"] = {"limits": {"cpu": "1", "memory": "1Gi"}}
    return pod


pods = any_pods | any_pods.map(guaranteed)


def qos_class(pod):
    """GetPodQOS of Kubernetes, by the letter: zero amounts count as absent."""
    asked, limited, guaranteed = {}, {}, True
    everyone = (pod["spec"].get("initContainers") or []) + pod["spec"]["containers"]
    for each in everyone:
        given = each.get("resources") or {}
        limits, requests = (positive(given.get(kind)) for kind in ("limits", "requests"))
        requests = {**limits, **requests}  # the API server's defaults
        asked |= dict.fromkeys(requests, 1)
        limited |= dict.fromkeys(limits, 1)
        guaranteed &= len(limits) == 2 and requests == limits
    if not asked and not limited:
        return "BestEffort"
    return "Guaranteed" if guaranteed else "Burstable"


def positive(amounts):
    number = {"0": 0, 0: 0, None: 0}
    wanted = {name: (amounts or {}).get(name) for name in ("cpu", "memory")}
    return {name: value for name, value in wanted.items() if number.get(value, 1)}


def undone(pod):
    """The pod without what an injection adds; lists and objects that are empty then are gone."""
    pod = copy.deepcopy(pod)
    spec = pod["spec"]
    for key in ("volumes", "initContainers"):
        spec[key] = [each for each in spec.get(key) or [] if each["name"] not in OURS]
    for container in spec["containers"]:
        undo(container)
    annotations = (pod.get("metadata") or {}).get("annotations") or {}
    annotations.pop("primus-lens.io/status", None)
    evict = [each for each in annotations.pop(EVICT, "").split(",") if each not in ("", *OURS)]
    if evict:
        annotations[EVICT] = ",".join(evict)
    return cleaned(pod)


def undo(container):
    if (container.get("command") or [])[:2] == ["/opt/primus-lens/env", "--"]:
        del container["command"][:2]
    mounts = container.get("volumeMounts") or []
    container["volumeMounts"] = [each for each in mounts if each["name"] not in OURS]
    entries = []
    for each in container.get("env") or []:
        if each["name"] in (*ADDED_ENV, *IDENTITY) or each.get("value") in MADE:
            continue
        if each["name"] == "PRIMUS_LENS_WANDB_USER_PYTHONPATH":
            each["name"] = "PYTHONPATH"
        if str(each.get("value", "")).startswith(BOOTSTRAP):
            each["value"] = each["value"].removeprefix(BOOTSTRAP).removeprefix(":")
        entries.append(each)
    container["env"] = entries


MADE = {
    f"{BOOTSTRAP}{image}{envfrom}"
    for image in ("", ":/image")
    for envfrom in ("", ":$(PYTHONPATH)", ":$(PRIMUS_LENS_WANDB_USER_PYTHONPATH)")
}


def cleaned(value):
    """Without what means the same as its absence, and without a PYTHONPATH of nothing."""
    if isinstance(value, list):
        return [cleaned(each) for each in value if not nothing(each)]
    if not isinstance(value, dict):
        return value
    made = {key: cleaned(below) for key, below in value.items()}
    return {key: below for key, below in made.items() if below not in (None, [], {}, "")}


def nothing(entry):
    """Of an environment: sets PYTHONPATH to an empty string."""
    known = isinstance(entry, dict) and entry.get("name") == "PYTHONPATH"
    return known and not entry.get("value") and not entry.get("valueFrom")
