# SPDX-License-Identifier: Apache-2.0
"""Which pod a directory of a shared volume belongs to. Must never rest on what the pod says.

A shared volume is laid out {namespace}/{pod}/{uid}/, which the exporter reads identity from.
"""

from __future__ import annotations

from typing import Any

from primus_lens_hook import contract

from primus_lens_webhook.document import Object, mount_point, objects, text
from primus_lens_webhook.patch import Patch

FIELDS = {
    "PRIMUS_LENS_POD_NAMESPACE": "metadata.namespace",
    "PRIMUS_LENS_POD_NAME": "metadata.name",
    "PRIMUS_LENS_POD_UID": "metadata.uid",
}
SUB_PATH = "/".join(f"$({name})" for name in FIELDS)


def env() -> list[dict[str, Any]]:
    """The variables that `subPathExpr` names. They also hide those of an `envFrom`."""
    return [
        {"name": name, "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": path}}}
        for name, path in FIELDS.items()
    ]


def overwrite_env(patch: Patch, path: str, container: Object) -> None:
    """Make every entry of these names ours: a container may have one twice, and the last counts."""
    ours = {entry["name"]: entry for entry in env()}
    for index, entry in enumerate(objects(container, "env")):
        wanted = ours.get(text(entry, "name"), entry)
        if entry != wanted:
            patch.replace(f"{path}/env/{index}", wanted)


def confine_mounts(patch: Patch, path: str, container: Object) -> None:
    """Mounts of the records that the pod brings show the directory of that pod alone."""
    for index, mount in enumerate(objects(container, "volumeMounts")):
        place = (mount.get("name"), mount_point(mount))
        if place != (contract.RECORDS_VOLUME, contract.RECORDS_MOUNT):
            continue
        confined = {key: value for key, value in mount.items() if key != "subPath"}
        confined["subPathExpr"] = SUB_PATH
        if confined != mount:
            patch.replace(f"{path}/volumeMounts/{index}", confined)
