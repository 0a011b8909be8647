# SPDX-License-Identifier: Apache-2.0
"""The places that the operator names, each a path and how records lie below it.

Whether a path can hang is told by the table of mounts: a place that can is never touched here.
"""

from __future__ import annotations

import enum
import os
from pathlib import Path
from typing import NamedTuple

from primus_lens_hook.mounts import hanging_type

from primus_lens_exporter.reading.settings import ReadingSettings
from primus_lens_exporter.reading.sources import (
    DirectorySource,
    KubeletSource,
    SharedSource,
    Source,
)
from primus_lens_exporter.reading.tenant import Identities, Tenants
from primus_lens_exporter.reading.watcher import Watcher


class Kind(enum.Enum):
    """How records lie below the path, by the flag that names it."""

    DIRECTORY = "--records.path"
    KUBELET = "--records.kubelet-root"
    SHARED = "--records.shared-path"


class Place(NamedTuple):
    """One path. It is absolute, and what it leads to may change where it is a link."""

    kind: Kind
    path: str
    can_hang: bool
    """Whether it leads to a file system that can hang."""

    apart: bool
    """Whether it is read in a thread of its own: it can hang, or is a link and may later."""


def place(kind: Kind, path: Path) -> Place:
    """The place at a path as it was given."""
    absolute = str(path.absolute())
    can_hang = hanging_type(absolute) is not None
    # As `latest` is, which is set to each new training's output.
    apart = can_hang or (kind is Kind.DIRECTORY and _leads_through_links(absolute))
    return Place(kind, absolute, can_hang, apart)


def _leads_through_links(path: str) -> bool:
    return os.path.realpath(path) != os.path.normpath(path)


def source(
    place: Place, pods: Identities, tenants: Tenants, settings: ReadingSettings, watcher: Watcher
) -> Source:
    """What finds the volumes there."""
    if place.kind is Kind.SHARED:
        return SharedSource(place.path, pods, tenants, settings, watcher)
    if place.kind is Kind.KUBELET:
        return KubeletSource(place.path, tenants, settings, watcher, hold=not place.can_hang)

    def hold() -> bool:
        return not place.apart or hanging_type(place.path) is None

    return DirectorySource(place.path, tenants, settings, watcher, hold=hold)
