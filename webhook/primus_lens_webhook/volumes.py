# SPDX-License-Identifier: Apache-2.0
"""The two volumes of an injected pod, and how containers see them."""

from __future__ import annotations

from typing import Any

from primus_lens_hook import contract

from primus_lens_webhook import identity
from primus_lens_webhook.options import CLAIM, EMPTY_DIR, HOOK_SIZE, HOST_PATH, Options


def is_shared(options: Options) -> bool:
    """Whether pods have their records on one volume."""
    return options.inject_volume_mode != EMPTY_DIR


def hook_volume() -> dict[str, Any]:
    """Never in memory: that would count against the limits of containers."""
    return {"name": contract.HOOK_VOLUME, "emptyDir": {"sizeLimit": HOOK_SIZE}}


def records_volume(options: Options) -> dict[str, Any]:
    """As the mode says."""
    sources: dict[str, dict[str, Any]] = {
        EMPTY_DIR: {"sizeLimit": options.inject_records_size},
        CLAIM: {"claimName": options.inject_claim_name},
        HOST_PATH: {"path": options.inject_host_path, "type": "DirectoryOrCreate"},
    }
    mode = options.inject_volume_mode
    return {"name": contract.RECORDS_VOLUME, mode: sources[mode]}


def hook_mount() -> dict[str, Any]:
    """Read-only: no container can change what another one runs."""
    return {"name": contract.HOOK_VOLUME, "mountPath": contract.HOOK_MOUNT, "readOnly": True}


def records_mount(options: Options) -> dict[str, Any]:
    """Of a shared volume a container sees the directory of its own pod alone."""
    mount = {"name": contract.RECORDS_VOLUME, "mountPath": contract.RECORDS_MOUNT}
    if is_shared(options):
        mount["subPathExpr"] = identity.SUB_PATH
    return mount


def identity_env(options: Options) -> list[dict[str, Any]]:
    """The variables that `subPathExpr` names; none for an emptyDir."""
    return identity.env() if is_shared(options) else []


def local_volumes(options: Options, names: list[str]) -> list[str]:
    """Those of our volumes that keep the cluster autoscaler from removing a node."""
    if options.inject_volume_mode == CLAIM:
        return [name for name in names if name != contract.RECORDS_VOLUME]
    return names
