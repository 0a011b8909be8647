# SPDX-License-Identifier: Apache-2.0
"""Checks of a pod that rule out injection. Each check raises Skip."""

from __future__ import annotations

from collections.abc import Mapping

from primus_lens_hook import contract

from primus_lens_webhook import decision
from primus_lens_webhook.decision import Skip
from primus_lens_webhook.document import Object, mapping, mount_point, named, objects, strings, text
from primus_lens_webhook.init_container import COMMAND
from primus_lens_webhook.options import EMPTY_DIR, HOOK_SIZE, Options
from primus_lens_webhook.quantity import quantity
from primus_lens_webhook.resources import MEMORY, ephemeral_limit, limit

MOUNTS = {
    contract.HOOK_MOUNT: contract.HOOK_VOLUME,
    contract.RECORDS_MOUNT: contract.RECORDS_VOLUME,
}
PLACES = (*MOUNTS, "/run/primus-lens")  # where /var/run is a link to /run, as in most images
# Bytes; several times what the init container takes, and less than wandb alone does.
LEAST_MEMORY = 64 << 20
PROGRAM = COMMAND[:3]
ROOM = 2  # the pod's ephemeral storage must hold so many times what we may use


def check_names(spec: Object, options: Options) -> None:
    """What bears our names must be ours, from an earlier injection or made alike."""
    kinds = {
        contract.HOOK_VOLUME: EMPTY_DIR,
        contract.RECORDS_VOLUME: options.inject_volume_mode,
    }
    for name, kind in kinds.items():
        volume = named(spec, "volumes", name)
        if volume is not None and kind not in volume:
            raise Skip(decision.NAME_CONFLICT, f"volume {name} is of another kind than {kind}")
    for key in ("initContainers", "containers", "ephemeralContainers"):
        container = named(spec, key, contract.HOOK_VOLUME)
        if container is not None and not (key == "initContainers" and _ours(container)):
            raise Skip(decision.NAME_CONFLICT, f"there is another container {contract.HOOK_VOLUME}")


def check_mounts(volumes: Mapping[str, Object], container: Object) -> None:
    """Nothing else may lie where we mount, nor so that our mount points cannot be made.

    `volumes` are the pod's, by name: a pod may have as many of them as mounts.
    A runtime makes a mount point in what lies below: in a read-only volume, or one that does
    not let root write, that fails, and with it the container. In our read-only mount it fails
    for the user's.
    """
    for mount in objects(container, "volumeMounts"):
        path, name = mount_point(mount), text(mount, "name")
        if MOUNTS.get(path) == name:
            continue
        for place in PLACES:
            above = place.startswith(f"{path}/") and not _harmless(volumes, mount)
            if above or f"{path}/".startswith(f"{place}/"):
                raise Skip(decision.MOUNT_CONFLICT, f"mount {path} is in the way of {place}")


def check_storage(spec: Object, options: Options) -> None:
    """The kubelet counts emptyDirs as the pod's, and evicts a pod above its limit."""
    limit = ephemeral_limit(spec)
    used = quantity(HOOK_SIZE)
    if options.inject_volume_mode == EMPTY_DIR:
        used += quantity(options.inject_records_size)
    if limit is not None and limit < ROOM * used:
        needed = f"{int(ROOM * used) >> 20}Mi"
        raise Skip(
            decision.EPHEMERAL_STORAGE_LIMIT,
            f"the pod's limit on ephemeral-storage is below {needed}; raise it, or remove it",
        )


def check_memory(target: Object) -> None:
    """The kernel would kill an init container with this limit, and the pod would fail."""
    if MEMORY in mapping(mapping(target, "resources"), "limits") and (
        limit(target, MEMORY) < LEAST_MEMORY
    ):
        least = f"{LEAST_MEMORY >> 20}Mi"
        raise Skip(decision.MEMORY_LIMIT, f"its memory limit is below {least}: no training")


def _ours(container: Object) -> bool:
    """Whether any version of ours has made this init container: flags may differ."""
    return strings(container, "command")[: len(PROGRAM)] == PROGRAM


def _harmless(volumes: Mapping[str, Object], mount: Object) -> bool:
    """Whether a mount point can be made in it."""
    volume = volumes.get(text(mount, "name"), {})
    return EMPTY_DIR in volume and not mount.get("readOnly")
