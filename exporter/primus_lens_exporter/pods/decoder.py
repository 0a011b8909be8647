# SPDX-License-Identifier: Apache-2.0
"""What the API sends: pages of a list and the lines of a watch. Pure: no network, no clock.

One pod that makes no sense is passed over and the rest of its page is read; a page or a line
that is no JSON raises Garbled, since then nothing is known of what it was to say.
"""

from __future__ import annotations

import contextlib
from collections.abc import Collection
from typing import NamedTuple

import msgspec

from primus_lens_exporter.model.errors import ExporterError
from primus_lens_exporter.model.pod import Pod
from primus_lens_exporter.pods.document import NoPod, decode

# Types of events; a BOOKMARK tells a version and nothing else.
ADDED, MODIFIED, DELETED = OF_PODS = "ADDED", "MODIFIED", "DELETED"
ERROR = "ERROR"


class Garbled(ExporterError):
    """Not what the Kubernetes API says."""


class Page(NamedTuple):
    """A part of a list."""

    pods: list[Pod]

    version: str
    """The resourceVersion of the whole list: a watch goes on from there."""

    following: str
    """The token for the next page; empty on the last."""

    skipped: int
    """How many pods made no sense."""


class Event(NamedTuple):
    """A line of a watch."""

    type: str

    pod: Pod | None
    """None if there is none, or if it made no sense."""

    version: str
    """The resourceVersion from which a watch can go on; empty if the line tells none."""

    code: int
    """The HTTP status that an ERROR stands for, else 0."""


class _Metadata(msgspec.Struct, gc=False, rename={"version": "resourceVersion"}):
    version: str = ""


class _ListMetadata(
    msgspec.Struct, gc=False, rename={"version": "resourceVersion", "following": "continue"}
):
    version: str
    following: str = ""


class _List(msgspec.Struct, gc=False):
    metadata: _ListMetadata
    items: list[msgspec.Raw] | None = None


class _Line(msgspec.Struct, gc=False):
    type: str
    object: msgspec.Raw


class _Object(msgspec.Struct, gc=False):
    """Any object: a pod, a bookmark, or the Status of an ERROR."""

    metadata: _Metadata | None = None
    code: int | None = None


_list = msgspec.json.Decoder(_List)
_line = msgspec.json.Decoder(_Line)
_object = msgspec.json.Decoder(_Object)


def page(body: bytes, allowed: Collection[str]) -> Page:
    """Decode a PodList. Raises Garbled."""
    try:
        found = _list.decode(body)
    except (ValueError, RecursionError):
        raise Garbled from None
    if not found.metadata.version:
        raise Garbled
    items = found.items or []
    pods = []
    for item in items:
        try:
            pods.append(decode(item, allowed))
        except NoPod:
            continue
    metadata = found.metadata
    return Page(pods, metadata.version, metadata.following, len(items) - len(pods))


def event(line: bytes, allowed: Collection[str]) -> Event:
    """Decode a line of a watch. Raises Garbled."""
    try:
        found = _line.decode(line)
        what = _object.decode(found.object)
    except (ValueError, RecursionError):
        raise Garbled from None
    pod = None
    if found.type in OF_PODS:
        with contextlib.suppress(NoPod):
            pod = decode(found.object, allowed)
    version = what.metadata.version if what.metadata else ""
    return Event(found.type, pod, version, what.code or 0)
