# SPDX-License-Identifier: Apache-2.0
"""The files in which a rank logs: which they are, in which order, and what became of one.

Files are told apart by device and inode, so a rename changes nothing but the name.
"""

from __future__ import annotations

import dataclasses
import enum
import math
from collections.abc import Callable

from primus_lens_exporter.reading.layout import METRICS_FILE
from primus_lens_exporter.reading.listing import Entry
from primus_lens_exporter.reading.safe_open import SafeDirectory
from primus_lens_exporter.reading.tail import FileId, Tail


class State(enum.Enum):
    """What can still happen to a file."""

    LIVE = "live"
    ROTATED = "rotated"  # nobody writes it any more
    DELETED = "deleted"  # nor does it have a name; closed once read to its end


@dataclasses.dataclass(slots=True)
class Segment:
    """One file that is followed."""

    tail: Tail
    name: str
    """Where it was last seen, below the root."""

    state: State = State.LIVE
    finished: bool = False
    """Read to its end, and nobody will write it again."""

    key: str = ""
    """What the consumer knows it by; empty until its first line is whole."""

    def begin(self, directory: str, resume: Callable[[str], int]) -> bool:
        """Its first lines were read: it has a key now. True if it goes on where `resume` says."""
        self.key = f"{directory}/{self.tail.fingerprint}"
        return self.tail.skip_to(resume(self.key))

    def reach(self, root: SafeDirectory) -> bool:
        """Have a descriptor; False when the name is another file's by now. Raises OSError."""
        if self.tail.attached:
            return True
        if self.state is State.DELETED:
            return False
        fd, _ = root.open_regular(self.name)
        try:
            self.tail.attach(fd)
        except ValueError:
            return False
        return True


def identify(entry: Entry) -> FileId:
    """Device and inode of a listed file."""
    assert entry.status is not None
    return entry.status.st_dev, entry.status.st_ino


def age(entry: Entry) -> tuple[int, float]:
    """To sort by: oldest first; of files as old, rotated ones before the current one."""
    assert entry.status is not None
    found = number(entry.name)
    return entry.status.st_mtime_ns, math.inf if found is None else found


def number(name: str) -> int | None:
    """The number of a rotated segment; None for a file that is being written."""
    match = METRICS_FILE.fullmatch(name)
    return int(match["number"]) if match and match["number"] else None
