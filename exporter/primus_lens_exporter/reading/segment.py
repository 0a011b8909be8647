# SPDX-License-Identifier: Apache-2.0
"""The files in which a rank logs: which they are, in which order, and what became of one.

Files are told apart by device and inode, so a rename changes nothing but the name.
"""

from __future__ import annotations

import dataclasses
import enum
import math
from collections.abc import Callable, Container

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

    owner: str
    """The process that wrote it, as it is in the name."""

    backlog: int
    """Bytes that were there when it was found."""

    state: State = State.LIVE
    finished: bool = False
    """Read to its end, and nobody will write it again."""

    key: str = ""
    """What the consumer knows it by; empty until its first line is whole."""

    def begin(self, directory: str, others: Container[str], resume: Callable[[str], int]) -> bool:
        """Its first lines were read: it has a key now. True if it goes on where `resume` says."""
        self.key = f"{directory}/{self.tail.fingerprint}"
        if self.key in others:  # two processes that began with the same line
            self.key += self.owner
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


def place(name: str) -> tuple[str, float]:
    """The process that a file belongs to, by the text in its name, and its place among its files.

    A rotated segment has a number, and the file that is being written comes last. Not by the time
    of modification, which a copy changes.
    """
    match = METRICS_FILE.fullmatch(name)
    assert match is not None
    return match["owner"], int(match["number"]) if match["number"] else math.inf
