# SPDX-License-Identifier: Apache-2.0
"""The files of one rank, followed in the order in which they were written.

A rank's writer rotates its file by renaming it, a second process adds one of its own, and
anybody with the pod's rights may put anything in their place. Nothing that is found here
may cost another rank anything: reading is bounded by the tenant's share, and what cannot
be read is counted once.
"""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Iterator

from primus_lens_exporter import decode, segment
from primus_lens_exporter.allowance import Allowance
from primus_lens_exporter.consumer import Consumer, Labels
from primus_lens_exporter.listing import Entry, Listing
from primus_lens_exporter.refusals import Refusals
from primus_lens_exporter.runs import RUNS_FILE, Runs
from primus_lens_exporter.segment import METRICS_FILE, Segment, State
from primus_lens_exporter.settings import Settings
from primus_lens_exporter.tail import GROWN, FileId, Tail
from primus_lens_exporter.telemetry import Telemetry
from primus_lens_exporter.tenant import Tenant
from primus_lens_exporter.volume import SHARE, RankDirectory, Volume
from primus_lens_exporter.watcher import CHANGED, WRITTEN, Watched, Watcher

QUIET_SECONDS = 10.0  # then an unwatched rank is read with the looks alone
LOOK_SECONDS = 1.0  # between looks for rewritten files, and for new ones where nobody tells
QUIET_LOOK_SECONDS = 4.0  # the same where nothing has happened for a while
WATCHED_LOOK_SECONDS = 10.0  # and where somebody would have told


class RankFiles(Watched):
    """Follows one rank directory. `scan` looks for files, `read` reads what is new."""

    def __init__(
        self,
        volume: Volume,
        rank: RankDirectory,
        consumer: Consumer,
        settings: Settings,
        telemetry: Telemetry,
        watcher: Watcher,
    ) -> None:
        self.path = f"{volume.root.path}/{rank.name}"
        self.tenant: Tenant = volume.tenant_of(rank.name)
        self.read_at = 0.0
        """When it had its last turn (monotonic)."""
        self.newest = 0.0
        """Unix seconds of the newest record read."""
        self._rank = rank
        self._root = volume.root
        self._consumer = consumer
        self._settings = settings
        self._telemetry = telemetry
        self._listing = Listing(volume.root, rank.name, watcher, self)
        self._refusals = Refusals(self.path, self.tenant)
        self._runs = Runs(consumer, self, settings.series_grace_seconds)
        self._segments: dict[FileId, Segment] = {}  # in the order of reading
        self._labels: Labels | None = None
        self._changed = True
        self._written = True
        self._behind = False
        self.busy_at = time.monotonic()
        """When there was last something to read (monotonic)."""
        self._look_at = self._list_at = 0.0

    def __len__(self) -> int:
        return len(self._segments)

    @property
    def allowance(self) -> Allowance:
        """The series of its tenant."""
        return self.tenant.allowance

    @property
    def behind(self) -> int:
        """Bytes that wait to be read because the tenant's share was used up."""
        return sum(file.tail.behind for file in self._segments.values()) if self._behind else 0

    def dropped(self, reason: str, values: int) -> None:
        self.tenant.dropped(reason, values)

    def touched(self, mask: int) -> None:
        self._written = self._written or bool(mask & WRITTEN)
        self._changed = self._changed or bool(mask & CHANGED)

    def lost(self, watch: int) -> None:
        self._listing.lost(watch)
        self._changed = True

    def due(self, now: float) -> bool:
        """Whether there may be something to read."""
        if self._written or self._behind:
            return True
        return not self._listing.watched and now - self.busy_at < QUIET_SECONDS

    def scan_due(self, now: float) -> bool:
        """Whether it is time for a look at the directory; `now` is monotonic."""
        return now >= self._look_at or (self._changed and now >= self._list_at)

    def scan(self, now: float) -> None:
        """Notice new, rotated, rewritten and deleted files, and new runs."""
        self._changed = False
        try:
            if now >= self._look_at:
                self._look_at = now + self._look_seconds(now)
                self._notice_rewrites()
            self._list_if_changed()
        except OSError as error:
            self._refusals.note("", error)
        self._list_at = now + SHARE * (time.monotonic() - now)
        labels = self._identify()
        if labels is not None:
            self._runs.update(labels, self.tenant.info(), now)

    def read(self, now: float) -> Iterator[None]:
        """Read what is new, at most its part of the tenant's share; yields after each chunk."""
        labels = self._identify()
        self.read_at = now
        self._behind = True  # until proven otherwise
        if labels is None or not self._consumer.accepting:
            return
        self._written = False
        left = self.tenant.part
        for file_id, file in list(self._segments.items()):
            if file.finished:
                continue
            while left > 0 and self._consumer.accepting and self.tenant.may_read():
                started = time.perf_counter()
                chunk = self._next(file)
                if chunk is None:
                    self._at_end(file_id, file)
                    break
                self._take(labels, chunk, file)
                left -= len(chunk)
                self.tenant.spent(len(chunk), time.perf_counter() - started)
                self.busy_at = now
                yield
            else:
                self._let_go(file)
                return
        self._behind = False

    def gone(self) -> None:
        """The directory is no longer there: what is open is read to its end and closed."""
        self._listing.close()
        for file in self._segments.values():
            file.state, file.finished = State.DELETED, False
        self._written = True

    def close(self) -> None:
        """Close every file and end the series."""
        self._listing.close()
        for file_id in list(self._segments):
            self._drop(file_id)
        self._consumer.release(self)

    def _look_seconds(self, now: float) -> float:
        if now - self.busy_at < QUIET_SECONDS:
            return LOOK_SECONDS
        return WATCHED_LOOK_SECONDS if self._listing.watched else QUIET_LOOK_SECONDS

    def _identify(self) -> Labels | None:
        """The labels of its series; they never change once they are known."""
        if self._labels is None:
            identity = self.tenant.identity(self._rank.container)
            if identity is not None:
                ranks = ("node_rank", self._rank.node_rank), ("local_rank", self._rank.local_rank)
                self._labels = (*identity, *ranks)
        return self._labels

    def _notice_rewrites(self) -> None:
        for file in self._segments.values():
            if not self._reach(file):
                continue
            event = file.tail.look()
            self._let_go(file)
            if event is None:
                continue
            self._written, file.finished = True, False
            if event != GROWN:
                self._telemetry.file_events.labels(event).inc()

    def _list_if_changed(self) -> None:
        limit = self._settings.limits_directory_entries
        entries = self._listing.changed(limit, METRICS_FILE)
        self._refusals.lift("")
        if entries is None:
            return
        if self._listing.cut:
            self.tenant.limited("directory_entries")
        self._follow([entry for entry in entries if entry.status is not None])
        names = [self._name(entry) for entry in entries if RUNS_FILE.fullmatch(entry.name)]
        self._runs.read(self._root, names)

    def _name(self, entry: Entry) -> str:
        return f"{self._rank.name}/{entry.name}"

    def _follow(self, entries: list[Entry]) -> None:
        self._written = True
        self._refusals.keep({entry.name for entry in entries})
        listed: dict[FileId, Segment] = {}
        for entry in sorted(entries, key=segment.age):
            file_id = segment.identify(entry)
            if file_id in listed:  # a hard link: the same lines under another name
                continue
            file = self._segments.pop(file_id, None) or self._open(entry)
            if file is not None:
                rotated = segment.number(entry.name) is not None
                file.name = self._name(entry)
                file.state = State.ROTATED if rotated else State.LIVE
                file.finished = file.finished and rotated
                listed[file.tail.id] = file
        for file in self._segments.values():
            file.state, file.finished = State.DELETED, False
        self._segments = {**self._segments, **listed}  # the deleted first: they are older

    def _open(self, entry: Entry) -> Segment | None:
        if not self.tenant.may_open():
            return None
        name = self._name(entry)
        try:
            file = Segment(
                Tail(self._root.open_regular(name)[0], self._settings.limits_line_bytes), name
            )
        except OSError as error:
            self._refuse(name, error)
            return None
        self._refusals.lift(entry.name)
        self.tenant.files += 1
        self._telemetry.file_events.labels("opened").inc()
        self._let_go(file)
        return file

    def _refuse(self, name: str, error: OSError) -> None:
        self._refusals.note(os.path.basename(name), error)
        if error.errno == errno.EWOULDBLOCK:  # a lease ends, and nothing tells that it did
            self._listing.relist()

    def _reach(self, file: Segment) -> bool:
        """Have a descriptor, if the file still has its name."""
        try:
            reached = file.reach(self._root)
        except OSError as error:
            self._refuse(file.name, error)
            reached = False
        self._changed = self._changed or not reached
        return reached

    def _let_go(self, file: Segment) -> None:
        if not self._root.hold:
            file.tail.detach()

    def _next(self, file: Segment) -> bytes | None:
        """The next lines of a file, not before the consumer's place in it; None at its end."""
        if not self._reach(file):
            return None
        try:
            chunk = file.tail.read()
            if chunk and not file.key:
                file.key = f"{self.path}/{file.tail.fingerprint}"
                if file.tail.skip_to(self._consumer.resume(file.key)):
                    chunk = file.tail.read()
            if chunk is None and file.state is State.DELETED:
                return file.tail.rest() or None
            return chunk
        except OSError as error:
            self._refuse(file.name, error)
            return None

    def _take(self, labels: Labels, chunk: bytes, file: Segment) -> None:
        tail, telemetry = file.tail, self._telemetry
        if tail.too_long:
            telemetry.lines.labels(decode.TOO_LONG).inc(tail.too_long)
            tail.too_long = 0
        telemetry.bytes.inc(len(chunk))
        batch = decode.decode(chunk)
        tail.careful = len(batch.records) < sum(batch.results.values())
        for result, count in batch.results.items():
            telemetry.lines.labels(result).inc(count)
        if batch.records:
            self.newest = batch.records[-1].timestamp
            self._consumer.take(labels, batch.records, file.key, tail.offset, self)

    def _at_end(self, file_id: FileId, file: Segment) -> None:
        if file.state is State.DELETED:
            self._drop(file_id)
            return
        file.finished = file.state is State.ROTATED
        self._let_go(file)

    def _drop(self, file_id: FileId) -> None:
        self._segments.pop(file_id).tail.detach()
        self.tenant.files -= 1
        self._telemetry.file_events.labels("closed").inc()
