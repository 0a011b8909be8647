# SPDX-License-Identifier: Apache-2.0
"""Reads a pod from its JSON document, as the API writes it. Pure: no network, no clock.

Names, labels and annotations come from users: whatever they are, nothing here raises but
NoPod.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Annotated

import msgspec
from primus_lens_hook import contract

from primus_lens_exporter.model.errors import ExporterError
from primus_lens_exporter.model.pod import INJECTED, MISSED, SKIPPED, Pod
from primus_lens_exporter.pods.series_labels import series_labels
from primus_lens_exporter.pods.workload import Owner, workload

STATUS = contract.STATUS_ANNOTATION
DEFAULT_CONTAINER = "kubectl.kubernetes.io/default-container"


class NoPod(ExporterError):
    """The document is not a pod with UID, namespace and name."""


# The API's own names, and its nulls where a Go program would leave a field out.
class _Owner(msgspec.Struct, gc=False, rename="camel"):
    api_version: str = ""
    kind: str = ""
    name: str = ""
    controller: bool | None = None


class _Metadata(msgspec.Struct, gc=False, rename="camel"):
    uid: str
    namespace: str
    name: str
    labels: dict[str, str] | None = None
    annotations: dict[str, str] | None = None
    owner_references: list[_Owner] | None = None


class _Container(msgspec.Struct, gc=False):
    name: str


class _Spec(msgspec.Struct, gc=False, rename="camel"):
    containers: list[_Container] | None = None
    init_containers: list[_Container] | None = None
    node_name: str | None = None


class _Running(msgspec.Struct, gc=False, rename="camel"):
    started_at: Annotated[datetime, msgspec.Meta(tz=True)] | None = None


class _State(msgspec.Struct, gc=False):
    running: _Running | None = None


class _ContainerStatus(msgspec.Struct, gc=False):
    name: str
    state: _State | None = None


class _PodStatus(msgspec.Struct, gc=False, rename="camel"):
    phase: str | None = None
    container_statuses: list[_ContainerStatus] | None = None


class _Document(msgspec.Struct, gc=False):
    metadata: _Metadata
    spec: _Spec
    status: _PodStatus | None = None


class _Status(msgspec.Struct, gc=False):
    containers: list[str] = []
    decision: str = ""


_document = msgspec.json.Decoder(_Document)
_status = msgspec.json.Decoder(_Status)


def decode(document: bytes | msgspec.Raw, allowed: Collection[str]) -> Pod:
    """Read a pod as the API writes it, with those of its labels that are allowed.

    Raises NoPod.
    """
    try:
        found = _document.decode(document)
    except (ValueError, RecursionError):  # msgspec's errors are ValueErrors
        raise NoPod from None
    metadata, spec = found.metadata, found.spec
    if not (metadata.uid and metadata.namespace and metadata.name):
        raise NoPod
    labels = metadata.labels or {}
    annotations = metadata.annotations or {}
    containers = _names(spec.containers)
    container = _training(containers, annotations)
    belongs = workload(metadata.name, _controller(metadata.owner_references), labels)
    return Pod(
        uid=metadata.uid,
        namespace=metadata.namespace,
        name=metadata.name,
        node=spec.node_name or "",
        containers=(*_names(spec.init_containers), *containers),
        container=container,
        workload=belongs.name,
        workload_kind=belongs.kind,
        labels=series_labels(labels, allowed),
        injection=_injection(labels, annotations),
        running=_running(found.status or _PodStatus(), container),
    )


def _names(containers: list[_Container] | None) -> list[str]:
    return [each.name for each in containers or ()]


def _injection(labels: Mapping[str, str], annotations: Mapping[str, str]) -> str:
    """Whether a namespace asked cannot be known here: pods alone are read."""
    if (status := annotations.get(STATUS)) is not None:
        decision = _told(status).decision
        return decision if decision in (INJECTED, SKIPPED) else ""
    return MISSED if labels.get(contract.LABEL) == "enabled" else ""


def _controller(owners: list[_Owner] | None) -> Owner | None:
    for owner in owners or ():
        if owner.controller and owner.kind and owner.name:
            return Owner(owner.api_version.rpartition("/")[0], owner.kind, owner.name)
    return None


def _training(containers: list[str], annotations: Mapping[str, str]) -> str:
    """The first that the webhook injected, else kubectl's default, else the first there is.

    Users can write both annotations: only what names one of the pod's containers counts.
    """
    named = [*_told(annotations.get(STATUS, "{}")).containers, annotations.get(DEFAULT_CONTAINER)]
    return next((name for name in (*named, *containers) if name in containers), "")


def _running(status: _PodStatus, container: str) -> float:
    """Its own start and not the pod's: pulling an image may take long."""
    if status.phase != "Running":  # evicted, say, with statuses of before
        return 0.0
    for each in status.container_statuses or ():
        running = each.state.running if each.state else None
        if each.name == container and running and running.started_at:
            return running.started_at.timestamp()
    return 0.0


def _told(status: str) -> _Status:
    """What the webhook wrote; nothing where it makes no sense."""
    try:
        return _status.decode(status)
    except (ValueError, RecursionError):
        return _Status()
