# SPDX-License-Identifier: Apache-2.0
"""The files of one rank, in the order in which they were written.

A rank's writer rotates its file by renaming it, a second process adds one of its own, and
anybody with the pod's rights may put anything in their place: what cannot be read is
counted once, and the others are read all the same.
"""

from __future__ import annotations

import math
import os

from primus_lens_exporter.reading import segment
from primus_lens_exporter.reading.consumer import PastFile
from primus_lens_exporter.reading.counts import Counts
from primus_lens_exporter.reading.listing import Entry
from primus_lens_exporter.reading.read_errors import ReadErrors
from primus_lens_exporter.reading.safe_open import SafeDirectory
from primus_lens_exporter.reading.segment import Segment, State
from primus_lens_exporter.reading.settings import ReadingSettings
from primus_lens_exporter.reading.tail import REPLACED, TRUNCATED, FileId, Tail
from primus_lens_exporter.reading.tenant import Tenant


class Segments:
    """All files of a rank that are followed."""

    def __init__(
        self,
        root: SafeDirectory,
        directory: str,
        tenant: Tenant,
        settings: ReadingSettings,
        counts: Counts,
    ) -> None:
        self.read_errors = ReadErrors(f"{root.path}/{directory}", tenant)
        self.stale = False
        """Whether the names are no longer known to be right."""
        self._root = root
        self._directory = directory
        self._tenant = tenant
        self._line_bytes = settings.limits_line_bytes
        self._events = counts.file_events
        self._files: dict[FileId, Segment] = {}

    def __len__(self) -> int:
        return len(self._files)

    @property
    def behind(self) -> int:
        """Bytes that have not been read."""
        return sum(file.tail.behind for file in self._files.values())

    @property
    def backlog_read(self) -> bool:
        """Whether all that was there when each file was found has been read."""
        files = self._files.values()
        return all(file.finished or file.tail.offset >= file.backlog for file in files)

    def keys(self) -> set[str]:
        """Those of the files of which something was read."""
        return {file.key for file in self._files.values() if file.key}

    def unfinished(self) -> dict[str, list[Segment]]:
        """Those that may have more to read, by the process that wrote them, each oldest first."""
        found: dict[str, list[Segment]] = {}
        for file in self._files.values():
            if not file.finished:
                found.setdefault(file.owner, []).append(file)
        return found

    def follow(self, entries: list[Entry]) -> None:
        """Take over what a new listing of the directory says; entries have a status."""
        self.stale = False
        self.read_errors.keep({entry.name for entry in entries})
        listed: dict[FileId, Segment] = {}
        before = {file.name: file for file in self._files.values()}
        for entry in sorted(entries, key=lambda entry: segment.place(entry.name)):
            file_id = segment.identify(entry)
            if file_id in listed:  # a hard link: the same lines under another name
                continue
            file = self._files.pop(file_id, None) or self._open(entry, before)
            if file is not None:
                file.owner, number = segment.place(entry.name)
                rotated = number < math.inf
                file.name = self._name(entry)
                file.state = State.ROTATED if rotated else State.LIVE
                file.finished = file.finished and rotated
                listed[file.tail.id] = file
        self.delete_all()
        self._files = {**self._files, **listed}  # the deleted first: they are older

    def notice_rewrites(self) -> bool:
        """Whether something has grown or was written anew."""
        written = False
        for file in self._files.values():
            if self.check(file):
                written, file.finished = True, False
            self.let_go(file)
        return written

    def check(self, file: Segment) -> bool:
        """Whether a file has grown or was written anew; then it is read from its beginning."""
        if not self._reach(file):
            return False
        try:
            event = file.tail.look()
        except OSError as error:
            self._refuse(file.name, error)
            return False
        if event in (TRUNCATED, REPLACED):
            file.key = ""  # it begins with another line
            self._events[event] += 1
        return event is not None

    def next(self, file: Segment, most: int) -> bytes | None:
        """The next lines of a file, about `most` bytes; None at its end, and where it fails."""
        if not self._reach(file):
            return None
        try:
            chunk = file.tail.read(most)
            if chunk is None and file.state is State.DELETED:
                return file.tail.rest() or None
            return chunk
        except OSError as error:
            self._refuse(file.name, error)
            return None

    def at_end(self, file: Segment) -> bool:
        """A file was read to its end; True if it is gone for good."""
        if file.state is State.DELETED:
            self._drop(file)
            return True
        file.finished = file.state is State.ROTATED and file.tail.attached
        self.let_go(file)
        return False

    def let_go(self, file: Segment) -> None:
        """The pass is over for this file."""
        if not self._root.hold:
            file.tail.detach()

    def delete_all(self) -> None:
        """None of the files has a name any more; what is open is still read."""
        for file in self._files.values():
            file.state, file.finished = State.DELETED, False

    def past(self, most: int) -> list[PastFile]:
        """The newest files from which something was read, each with a new descriptor."""
        known = [file for file in self._files.values() if file.key]
        return [past for file in known[-most:] if (past := self._again(file)) is not None]

    def close(self) -> None:
        """Close every file."""
        for file in list(self._files.values()):
            self._drop(file)

    def _name(self, entry: Entry) -> str:
        return f"{self._directory}/{entry.name}"

    def _open(self, entry: Entry, before: dict[str, Segment]) -> Segment | None:
        if not self._tenant.may_open(hold=self._root.hold):
            self.stale = True  # there may be room at the next look
            return None
        name = self._name(entry)
        try:
            fd, status = self._root.open_regular(name)
            file = Segment(Tail(fd, self._line_bytes), name, "", status.st_size)
        except OSError as error:
            self._refuse(name, error)
            return None
        if file.tail.id != segment.identify(entry):  # another one by now, perhaps a known one
            file.tail.detach()
            self.stale = True
            return None
        self.read_errors.lift(entry.name)
        self._tenant.opened(hold=self._root.hold)
        self._events["opened"] += 1
        self._take_place(file, before.get(name))
        self.let_go(file)
        return file

    def _take_place(self, file: Segment, before: Segment | None) -> None:
        """A copy in the place of a file (rsync, a restored directory) is read on from there."""
        if before is None or before.name != file.name:  # renamed: it is listed as another
            return
        try:
            if file.tail.go_on_from(before.tail):
                file.key = before.key
                self._drop(before)
        except OSError as error:
            self._refuse(file.name, error)

    def _again(self, file: Segment) -> PastFile | None:
        """None where it cannot be read now."""
        if not self._reach(file):
            return None
        try:
            return PastFile(file.tail.fingerprint, file.tail.another())
        except OSError:
            return None
        finally:
            self.let_go(file)

    def _reach(self, file: Segment) -> bool:
        """Have a descriptor, if the file still has its name."""
        try:
            reached = file.reach(self._root)
        except OSError as error:
            self._refuse(file.name, error)
            reached = False
        self.stale = self.stale or not reached
        return reached

    def _refuse(self, name: str, error: OSError) -> None:
        self.read_errors.note(os.path.basename(name), error)
        self.stale = True  # a lease, a mode, a second name: nothing tells that it has ended

    def _drop(self, file: Segment) -> None:
        del self._files[file.tail.id]
        file.tail.detach()
        self._tenant.closed(hold=self._root.hold)
        self._events["closed"] += 1
