# SPDX-License-Identifier: Apache-2.0
"""The files in which a rank logs: which they are, in which order, and what became of one.

Files are told apart by device and inode, so a rename changes nothing but the name.
"""

from __future__ import annotations

import dataclasses
import enum
import math
import os
from collections.abc import Sequence

from primus_lens_exporter.reading.file_handle import FileHandle, FileId
from primus_lens_exporter.reading.layout import METRICS_FILE
from primus_lens_exporter.reading.listing import Entry
from primus_lens_exporter.reading.safe_open import SafeDirectory
from primus_lens_exporter.reading.tail import Tail

GROWN, TRUNCATED, REPLACED = "grown", "truncated", "replaced"


class State(enum.Enum):
    """What can still happen to a file."""

    LIVE = "live"
    ROTATED = "rotated"  # nobody writes it any more
    DELETED = "deleted"  # nor does it have a name; closed once read to its end


@dataclasses.dataclass(slots=True, eq=False)
class Segment:
    """One file that is followed."""

    handle: FileHandle
    tails: Sequence[Tail]
    """The place of each reader."""

    name: str
    """Where it was last seen, below the root."""

    backlog: int
    """Bytes that were there when it was found."""

    owner: str = ""
    """The process that wrote it, as it is in the name."""

    state: State = State.LIVE
    key: str = ""
    """What consumers know it by; empty until its first line is whole."""

    seen: int = 0
    """Time of modification at the last look, in nanoseconds."""

    def look(self) -> str | None:
        """Whether it has GROWN, or was TRUNCATED or REPLACED: then it is read anew."""
        status = os.fstat(self.handle.fd)
        cut = [tail for tail in self.tails if tail.offset > status.st_size]
        if not cut and status.st_mtime_ns == self.seen:
            return None
        self.seen = status.st_mtime_ns
        same = self.handle.holds(self.handle.head, 0)
        if not same:
            self.handle.head, self.key = b"", ""  # it begins with another line
        for tail in cut if same else self.tails:
            tail.restart()
        if cut:
            return TRUNCATED
        return GROWN if same else REPLACED

    def resume(self) -> None:
        """There may be more to read."""
        for tail in self.tails:
            tail.finished = False

    def go_on_from(self, other: Segment) -> bool:
        """Have each reader go on where it was in `other`, if that begins with the same.

        False if not, by its first bytes and the last ones that were read of it.
        """
        offset, last, _ = max(tail.place for tail in other.tails)
        head = other.handle.head
        if not (head and last) or self.handle.size < offset:
            return False
        if not (self.handle.holds(head, 0) and self.handle.holds(last, offset - len(last))):
            return False
        self.handle.head, self.key = head, other.key
        for tail, before in zip(self.tails, other.tails, strict=True):
            tail.place, tail.begun = before.place, before.begun
        return True

    def reach(self, root: SafeDirectory) -> bool:
        """Have a descriptor; False when the name is another file's by now. Raises OSError."""
        if self.handle.attached:
            return True
        if self.state is State.DELETED:
            return False
        fd, _ = root.open_regular(self.name)
        try:
            self.handle.attach(fd)
        except ValueError:
            return False
        return True


def identify(entry: Entry) -> FileId:
    """Device and inode of a listed file."""
    assert entry.status is not None
    return entry.status.st_dev, entry.status.st_ino


def place(name: str) -> tuple[str, float]:
    """The process that a file belongs to, by the text in its name, and its place among its files.

    A rotated segment has a number, and the file that is being written comes last. Not by the time
    of modification, which a copy changes.
    """
    match = METRICS_FILE.fullmatch(name)
    assert match is not None
    return match["owner"], int(match["number"]) if match["number"] else math.inf
