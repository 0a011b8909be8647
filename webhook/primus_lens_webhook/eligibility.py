# SPDX-License-Identifier: Apache-2.0
"""Whether a pod is injected, and into which of its containers. Raises Skip otherwise.

What is not sure to run as it would without us is left alone.
"""

from __future__ import annotations

from typing import NamedTuple

from primus_lens_hook import contract

from primus_lens_webhook import decision
from primus_lens_webhook.decision import Skip
from primus_lens_webhook.document import (
    Malformed,
    Object,
    annotations_of,
    mapping,
    mount_point,
    objects,
    text,
)
from primus_lens_webhook.main_container import CONTAINERS, choose

REVISION = "serving.knative.dev/revision"
NO_INIT_CONTAINERS = ("serving.knative.dev", "run.googleapis.com")  # API groups
MIRROR = "kubernetes.io/config.mirror"

LONGEST_NAME = 63  # a DNS label; the names of injected containers end in the status


def who_asks(pod: Object, unlabelled: str) -> str:
    """POD_LABEL, or `unlabelled` for a pod that has no label. Raises Skip."""
    if MIRROR in annotations_of(pod):
        raise Skip(decision.MIRROR)
    label = mapping(mapping(pod, "metadata"), "labels").get(contract.LABEL)
    if label is None:
        return unlabelled
    if label == "disabled":
        raise Skip(decision.OPTED_OUT)
    if label != "enabled":
        raise Skip(decision.BAD_LABEL, f"label {contract.LABEL} is neither enabled nor disabled")
    return decision.POD_LABEL


def check_owner(pod: Object, api_version: str) -> None:
    """Raises Skip for what refuses init containers, or belongs to something that does."""
    labels = mapping(mapping(pod, "metadata"), "labels")
    if REVISION in labels or api_version.partition("/")[0] in NO_INIT_CONTAINERS:
        raise Skip(decision.KNATIVE, "Knative services take no init containers")


class Targets(NamedTuple):
    """Indexes of the containers that the hook goes into, why, and what is to be warned of."""

    indexes: list[int]
    why: str = ""
    warning: str = ""


def targets(pod: Object, spec: Object, most: int) -> Targets:
    """Raises Skip.

    Those of the annotation; else those that have our records mounted, since another webhook
    may have put a container of its own before them since; else the main one.
    """
    containers = objects(spec, "containers")
    found = _found(pod, containers)
    if len(found.indexes) > most:
        why = f"{len(found.indexes)} containers to inject; at most {most} are"
        raise Skip(decision.TOO_LARGE, why)
    if any(len(text(containers[index], "name")) > LONGEST_NAME for index in found.indexes):
        raise Malformed(f"a container's name is longer than {LONGEST_NAME} characters")
    return found


def _found(pod: Object, containers: list[Object]) -> Targets:
    asked = annotations_of(pod).get(CONTAINERS)
    if isinstance(asked, str):
        return Targets(_named(asked, [text(each, "name") for each in containers]))
    if not containers:
        raise Skip(decision.NO_CONTAINER, "the pod has no container")
    main = choose(pod, containers)
    records = (contract.RECORDS_VOLUME, contract.RECORDS_MOUNT)
    mounted = [index for index, each in enumerate(containers) if has_mount(each, *records)]
    if mounted and mounted != [main.position]:
        return Targets(mounted)
    why = main.why and f"container {text(containers[main.position], 'name')}: {main.why}"
    return Targets([main.position], why, main.warning)


def has_mount(container: Object, name: str, path: str) -> bool:
    """Whether that volume lies there."""
    return any(
        mount.get("name") == name and mount_point(mount) == path
        for mount in objects(container, "volumeMounts")
    )


def _named(asked: str, names: list[str]) -> list[int]:
    wanted, known = dict.fromkeys(name.strip() for name in asked.split(",")), set(names)
    unknown = ", ".join(name for name in wanted if name not in known)
    if unknown:
        raise Skip(decision.NO_CONTAINER, f"annotation {CONTAINERS}: no container {unknown}")
    return [index for index, name in enumerate(names) if name in wanted]
