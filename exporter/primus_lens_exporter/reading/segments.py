# SPDX-License-Identifier: Apache-2.0
"""The files of one rank, in the order in which they were written.

A rank's writer rotates its file by renaming it, a second process adds one of its own, and
anybody with the pod's rights may put anything in their place: what cannot be read is
counted once, and the others are read all the same.
"""

from __future__ import annotations

import math
import os
import time

from primus_lens_exporter.reading import segment
from primus_lens_exporter.reading.consumer import PastFile
from primus_lens_exporter.reading.counts import Counts
from primus_lens_exporter.reading.file_handle import FileHandle, FileId
from primus_lens_exporter.reading.listing import Entry
from primus_lens_exporter.reading.read_errors import ReadErrors
from primus_lens_exporter.reading.safe_open import SafeDirectory
from primus_lens_exporter.reading.segment import REPLACED, TRUNCATED, Segment, State
from primus_lens_exporter.reading.settings import ReadingSettings
from primus_lens_exporter.reading.tail import Tail
from primus_lens_exporter.reading.tenant import Tenant


class Segments:
    """All files of a rank that are followed; a `reader` is the number of one of its readers."""

    def __init__(
        self,
        root: SafeDirectory,
        directory: str,
        tenant: Tenant,
        settings: ReadingSettings,
        counts: Counts,
        readers: int,
    ) -> None:
        self.path = f"{root.path}/{directory}"
        self.read_errors = ReadErrors(self.path, tenant)
        self.stale = False
        """Whether the names are no longer known to be right."""
        self._root = root
        self._directory = directory
        self._tenant = tenant
        self._line_bytes = settings.limits_line_bytes
        self._events = counts.file_events
        self._readers = readers
        self.opened_at = -math.inf
        """When a file was last opened that had not been there before; monotonic."""
        self._files: dict[FileId, Segment] = {}
        self._keys: set[str] = set()
        """Those of the files of which something was read."""

    def __len__(self) -> int:
        return len(self._files)

    def behind(self, reader: int) -> int:
        """Bytes that have not been read."""
        return sum(file.tails[reader].behind for file in self._files.values())

    def backlog_read(self, reader: int) -> bool:
        """Whether all that was there when each file was found has been read."""
        tails = ((file.tails[reader], file.backlog) for file in self._files.values())
        return all(tail.finished or tail.offset >= backlog for tail, backlog in tails)

    def unfinished(self, reader: int) -> dict[str, list[Segment]]:
        """Those that may have more to read, by the process that wrote them, each oldest first."""
        found: dict[str, list[Segment]] = {}
        for file in self._files.values():
            if not file.tails[reader].finished:
                found.setdefault(file.owner, []).append(file)
        return found

    def begin_again(self, reader: int) -> None:
        """Have all read by a reader that has read nothing so far."""
        for file in self._files.values():
            file.tails[reader].restart()

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
                if not rotated:
                    file.resume()
                listed[file_id] = file
        self.delete_all()
        self._files = {**self._files, **listed}  # the deleted first: they are older

    def notice_rewrites(self) -> bool:
        """Whether something has grown or was written anew."""
        written = False
        for file in self._files.values():
            if self.check(file):
                written = True
                file.resume()
            self.let_go(file)
        return written

    def check(self, file: Segment) -> bool:
        """Whether a file has grown or was written anew; then it is read from its beginning."""
        if not self.reach(file):
            return False
        key = file.key
        try:
            event = file.look()
        except OSError as error:
            self._refuse(file.name, error)
            return False
        if file.key != key:
            self._keys.discard(key)
        if event in (TRUNCATED, REPLACED):
            self._events[event] += 1
        return event is not None

    def next(self, file: Segment, tail: Tail, most: int) -> bytes | None:
        """The next lines of a file, about `most` bytes; None at its end, and where it fails."""
        tail.drained = False
        if not self.reach(file):
            return None
        try:
            chunk = tail.read(most)
            if chunk is None and file.state is State.DELETED:
                chunk = tail.rest() or None
        except OSError as error:
            self._refuse(file.name, error)
            return None
        if chunk and not file.key:
            self._name_key(file)
        return chunk

    def at_end(self, file: Segment, tail: Tail) -> bool:
        """A reader came to the end of a file; True if it is gone for good."""
        if file.state is State.DELETED:
            tail.finished = True
            if all(each.finished for each in file.tails):
                self._drop(file)
            return True
        tail.finished = file.state is State.ROTATED and tail.drained
        self.let_go(file)
        return False

    def let_go(self, file: Segment) -> None:
        """The pass is over for this file."""
        if not self._root.hold:
            file.handle.detach()

    def delete_all(self) -> None:
        """None of the files has a name any more; what is open is still read."""
        for file in self._files.values():
            if file.state is not State.DELETED:
                file.state = State.DELETED
                file.resume()  # its last line may lack an end

    def past(self, most: int) -> list[PastFile]:
        """The newest files from which something was read, each with a new descriptor."""
        known = [file for file in self._files.values() if file.key]
        return [past for file in known[-most:] if (past := self._again(file)) is not None]

    def close(self) -> None:
        """Close every file."""
        for file in list(self._files.values()):
            self._drop(file)

    def reach(self, file: Segment) -> bool:
        """Have a descriptor, if the file still has its name."""
        try:
            reached = file.reach(self._root)
        except OSError as error:
            self._refuse(file.name, error)
            reached = False
        self.stale = self.stale or not reached
        return reached

    def _name_key(self, file: Segment) -> None:
        """Its first lines were read: it has a key now."""
        key = f"{self.path}/{file.handle.fingerprint}"
        # Two processes may have begun with the same line.
        file.key = key + file.owner if key in self._keys else key
        self._keys.add(file.key)

    def _name(self, entry: Entry) -> str:
        return f"{self._directory}/{entry.name}"

    def _open(self, entry: Entry, before: dict[str, Segment]) -> Segment | None:
        if not self._tenant.may_open(hold=self._root.hold):
            self.stale = True  # there may be room at the next look
            return None
        name = self._name(entry)
        try:
            fd, status = self._root.open_regular(name)
            handle = FileHandle(fd)
        except OSError as error:
            self._refuse(name, error)
            return None
        if handle.id != segment.identify(entry):  # another one by now, perhaps a known one
            handle.detach()
            self.stale = True
            return None
        tails = [Tail(handle, self._line_bytes) for _ in range(self._readers)]
        file = Segment(handle, tails, name, status.st_size)
        self.read_errors.lift(entry.name)
        self._tenant.opened(hold=self._root.hold)
        self._events["opened"] += 1
        self.opened_at = time.monotonic()
        self._take_place(file, before.get(name))
        self.let_go(file)
        return file

    def _take_place(self, file: Segment, before: Segment | None) -> None:
        """A copy in the place of a file (rsync, a restored directory) is read on from there."""
        if before is None or before.name != file.name:  # renamed: it is listed as another
            return
        try:
            if file.go_on_from(before):
                self._drop(before)
                self._keys.add(file.key)
        except OSError as error:
            self._refuse(file.name, error)

    def _again(self, file: Segment) -> PastFile | None:
        """None where it cannot be read now."""
        if not self.reach(file):
            return None
        try:
            return PastFile(file.handle.fingerprint, file.handle.another())
        except OSError:
            return None
        finally:
            self.let_go(file)

    def _refuse(self, name: str, error: OSError) -> None:
        self.read_errors.note(os.path.basename(name), error)
        self.stale = True  # a lease, a mode, a second name: nothing tells that it has ended

    def _drop(self, file: Segment) -> None:
        del self._files[file.handle.id]
        self._keys.discard(file.key)
        file.handle.detach()
        self._tenant.closed(hold=self._root.hold)
        self._events["closed"] += 1
