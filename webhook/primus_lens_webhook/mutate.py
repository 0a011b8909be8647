# SPDX-License-Identifier: Apache-2.0
"""A raw pod in, JSON-patch operations and a decision out. Pure: no clock, no network, no state.

Applied to a pod that has been through it, it finds nothing to do, but what another webhook has
undone since: a PYTHONPATH that no longer begins with the hook, a container that was replaced.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import Any, NamedTuple

from primus_lens_hook import contract

from primus_lens_webhook import (
    conflicts,
    decision,
    eligibility,
    identity,
    platforms,
    python_env,
    volumes,
)
from primus_lens_webhook.advice import LONGEST_WARNING, advice
from primus_lens_webhook.annotations import Annotations
from primus_lens_webhook.decision import Decision, Skip, earlier, shown
from primus_lens_webhook.document import (
    Malformed,
    Object,
    annotations_of,
    by_name,
    mapping,
    named,
    objects,
    text,
)
from primus_lens_webhook.eligibility import Targets
from primus_lens_webhook.init_container import init_container
from primus_lens_webhook.options import EMPTY_DIR, OFF, Options
from primus_lens_webhook.patch import Operation, Patch
from primus_lens_webhook.quantity import quantity
from primus_lens_webhook.resources import gpus

SAFE_TO_EVICT = "cluster-autoscaler.kubernetes.io/safe-to-evict-local-volumes"
MAX_BYTES = 64 << 20  # per rank; the hook's own default
MOST_WARNINGS = 10  # they go into an annotation, and those of a pod have 256 KiB together
MARGIN = 2  # ranks together stay below the volume's limit divided by this


class Mutation(NamedTuple):
    """Operations for the pod, none where nothing is to be done."""

    operations: list[Operation]
    decision: Decision


def mutate(
    pod: Object,
    options: Options,
    api_version: str = "",
    unlabelled: str = decision.NAMESPACE_LABEL,
) -> Mutation:
    """What is to be done to a pod. Never raises for what a pod may be.

    `api_version` is that of the object which the pod is the template of, `unlabelled` the
    reason to inject a pod that has no label.
    """
    patch = Patch()
    try:
        asks = eligibility.who_asks(pod, unlabelled)
        eligibility.check_owner(pod, api_version)
        done = _Mutator(pod, options, patch).run(asks)
    except Skip as skip:
        return _skipped(pod, skip.decision)
    except Malformed as error:
        return Mutation([], decision.skipped(decision.ERROR, str(error)))
    return Mutation(patch.operations, done)


def _skipped(pod: Object, why: Decision) -> Mutation:
    """The pod is told, but for mirror pods, which are not ours to write to."""
    patch = Patch()
    if why.reason != decision.MIRROR:
        with contextlib.suppress(Skip):  # there is no room to tell it
            Annotations(pod, patch).put(contract.STATUS_ANNOTATION, why.annotation())
    return Mutation(patch.operations, why)


class _Mutator:
    """One pod on its way."""

    def __init__(self, pod: Object, options: Options, patch: Patch) -> None:
        self._pod = pod
        self._spec = mapping(pod, "spec")
        self._containers = objects(self._spec, "containers")
        self._annotations = Annotations(pod, patch)
        self._options = options
        self._patch = patch

    def run(self, asks: str) -> Decision:
        """Check everything first: what is skipped is left alone. Raises Skip and Malformed."""
        spec, containers = self._spec, self._containers
        platforms.check_platform(spec)
        targets = eligibility.targets(self._pod, spec, self._options.inject_max_containers)
        indexes = targets.indexes
        want = python_env.wanted(self._pod, self._options.inject_python_env)
        conflicts.check_names(spec, self._options)
        there = by_name(spec, "volumes")
        for index in indexes:
            conflicts.check_mounts(there, containers[index])
        if named(spec, "volumes", contract.RECORDS_VOLUME) is None:
            conflicts.check_storage(spec, self._options)
        if want.mode != OFF:
            conflicts.check_memory(containers[indexes[0]])
            self._add_hook(containers[indexes[0]])
        self._add_volumes(with_hook=want.mode != OFF)
        modes = {
            text(containers[index], "name"): self._add_to(index, len(indexes), want)
            for index in indexes
        }
        return self._conclude(asks, targets, modes)

    def _add_hook(self, target: Object) -> None:
        """The init container. The target that is named first stands for all of them."""
        if named(self._spec, "initContainers", contract.HOOK_VOLUME) is None:
            made = init_container(target, self._options)
            self._patch.insert("/spec", self._spec, "initContainers", 0, made)
            self._add_pull_secrets()

    def _add_volumes(self, *, with_hook: bool) -> None:
        spec, patch = self._spec, self._patch
        wanted = [volumes.records_volume(self._options)]
        if with_hook:
            wanted.insert(0, volumes.hook_volume())
        for volume in wanted:
            if named(spec, "volumes", volume["name"]) is None:
                patch.append("/spec", spec, "volumes", volume)
        self._allow_eviction([volume["name"] for volume in wanted])

    def _add_pull_secrets(self) -> None:
        for name in self._options.inject_image_pull_secrets:
            if named(self._spec, "imagePullSecrets", name) is None:
                self._patch.append("/spec", self._spec, "imagePullSecrets", {"name": name})

    def _allow_eviction(self, names: list[str]) -> None:
        """Else the cluster autoscaler keeps a node for the sake of our volumes."""
        there = text(annotations_of(self._pod), SAFE_TO_EVICT)
        listed = [name for name in there.split(",") if name]
        ours = volumes.local_volumes(self._options, names)
        merged = listed + [name for name in ours if name not in listed]
        if merged != listed:
            self._annotations.put(SAFE_TO_EVICT, ",".join(merged))

    def _add_to(self, index: int, count: int, want: python_env.Wanted) -> str:
        """Into one container of `count`; returns what was done for Python."""
        container, path = self._containers[index], f"/spec/containers/{index}"
        mounts = [volumes.records_mount(self._options)]
        if want.mode != OFF:
            mounts.insert(0, volumes.hook_mount())
        identity.overwrite_env(self._patch, path, container)
        if volumes.is_shared(self._options):
            identity.confine_mounts(self._patch, path, container)
        for mount in mounts:
            if not eligibility.has_mount(container, mount["name"], mount["mountPath"]):
                self._patch.append(path, container, "volumeMounts", mount)
        mode = python_env.apply(self._patch, path, container, want)
        given = {text(entry, "name") for entry in objects(container, "env")}
        for entry in self._env(container, count):
            if entry["name"] not in given:
                self._patch.append(path, container, "env", entry)
        return mode

    def _env(self, container: Object, count: int) -> list[dict[str, Any]]:
        """The user's own values win, but for the pod's identity."""
        output = contract.RECORDS_MOUNT + (f"/{text(container, 'name')}" if count > 1 else "")
        wanted: list[dict[str, Any]] = [{"name": contract.ENV_OUTPUT_PATH, "value": output}]
        if self._options.inject_volume_mode == EMPTY_DIR:
            ranks = max(gpus(container), self._options.inject_ranks)
            room = int(quantity(self._options.inject_records_size)) // (MARGIN * count * ranks)
            wanted.append({"name": contract.ENV_MAX_BYTES, "value": str(min(MAX_BYTES, room))})
        if self._options.inject_system_metrics:
            wanted.append({"name": contract.ENV_ENHANCE_METRICS, "value": "true"})
        return wanted + volumes.identity_env(self._options)

    def _conclude(self, asks: str, targets: Targets, modes: dict[str, str]) -> Decision:
        before = earlier(annotations_of(self._pod).get(contract.STATUS_ANNOTATION))
        if before is not None:  # what was done then says more than what is left to do now
            modes = {name: _earlier_mode(before, name, mode) for name, mode in modes.items()}
            if not self._patch.operations:
                return Decision(decision.SKIPPED, decision.ALREADY, "", tuple(modes), modes)
        warnings = self._warnings(targets, modes)
        done = Decision(decision.INJECTED, asks, targets.why, tuple(modes), modes, warnings)
        self._annotations.put(contract.STATUS_ANNOTATION, done.annotation())
        return done

    def _warnings(self, targets: Targets, modes: dict[str, str]) -> tuple[str, ...]:
        found = [targets.warning] if targets.warning else []
        for index in targets.indexes:
            container = self._containers[index]
            found += advice(self._pod, container, modes[text(container, "name")])
        return tuple(shown(each, LONGEST_WARNING) for each in found[:MOST_WARNINGS])


def _earlier_mode(before: Mapping[str, object], name: str, now: str) -> str:
    """Of an earlier status, which the pod itself may have written."""
    mode = before.get(name)
    return mode if isinstance(mode, str) and mode in python_env.OUTCOMES else now
