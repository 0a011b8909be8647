# SPDX-License-Identifier: Apache-2.0
"""Follows one rank: when its directory is listed, when its files are read, in which order.

No rank may cost another one anything: reading is bounded by the share of its tenant, and a
listing is not repeated sooner than twenty times its own duration.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator

from primus_lens_exporter.model.labels import Labels
from primus_lens_exporter.reading.consumer import Consumer, PastFile
from primus_lens_exporter.reading.counts import Counts
from primus_lens_exporter.reading.layout import METRICS_FILE, RUNS_FILE
from primus_lens_exporter.reading.listing import Listing
from primus_lens_exporter.reading.runs import Runs
from primus_lens_exporter.reading.segment import Segment, State
from primus_lens_exporter.reading.segments import Segments
from primus_lens_exporter.reading.settings import ReadingSettings
from primus_lens_exporter.reading.tenant import SHARE, Tenant
from primus_lens_exporter.reading.volume import RankDirectory, Volume
from primus_lens_exporter.reading.watcher import CHANGED, WRITTEN, Watched, Watcher

QUIET_SECONDS = 10.0  # then an unwatched rank is read with the looks alone
LOOK_SECONDS = 1.0  # between looks for rewritten files, and for new ones where nobody tells
QUIET_LOOK_SECONDS = 4.0  # the same where nothing has happened for a while
WATCHED_LOOK_SECONDS = 5.0  # where somebody would have told
WATCHED_QUIET_LOOK_SECONDS = 30.0


class RankFiles(Watched):
    """Follows one rank directory. `scan` looks for files, `read` reads what is new."""

    def __init__(
        self,
        volume: Volume,
        rank: RankDirectory,
        consumer: Consumer,
        settings: ReadingSettings,
        counts: Counts,
        watcher: Watcher,
    ) -> None:
        self.path = f"{volume.root.path}/{rank.name}"
        self.tenant: Tenant = volume.tenant_of(rank.name)
        self.quota, self.history_quota = self.tenant.quota, self.tenant.history_quota
        self.wake_at = 0.0
        """When there may next be something to do (monotonic)."""
        self.read_at = 0.0
        """When it had its last turn (monotonic)."""
        self.scanned_at = 0.0
        """When its directory was last looked at (monotonic)."""
        self.busy_at = time.monotonic()
        """When there was last something to read (monotonic)."""
        self.newest = 0.0
        """Unix seconds of the newest record read."""
        self.volume = volume
        self._rank = rank
        self._root = volume.root
        self._consumer = consumer
        self._settings = settings
        self._counts = counts
        self._listing = Listing(volume.root, rank.name, watcher, self)
        self._segments = Segments(volume.root, rank.name, self.tenant, settings, counts)
        self._runs = Runs(consumer, self, self.tenant, settings.series_grace_seconds)
        self._labels: Labels | None = None
        self._changed = True
        self._written = True
        self._behind = False
        self._look_at = self._list_at = 0.0

    @property
    def files(self) -> int:
        """How many files are followed."""
        return len(self._segments)

    @property
    def behind(self) -> int:
        """Bytes that wait to be read because the tenant's share was used up."""
        return self._segments.behind if self._behind else 0

    def dropped(self, reason: str, values: int) -> None:
        self.tenant.dropped(reason, values)

    def limited(self, limit: str) -> None:
        self.tenant.limited(limit)

    def past(self, most: int) -> list[PastFile]:
        return self._segments.past(most)

    def touched(self, mask: int) -> None:
        self._written = self._written or bool(mask & WRITTEN)
        self._changed = self._changed or bool(mask & CHANGED)
        self.wake_at = 0.0

    def lost(self, watch: int) -> None:
        self._listing.lost(watch)
        self.touched(CHANGED)

    def due(self, now: float) -> bool:
        """Whether there may be something to read."""
        if self._written or self._behind:
            return True
        return not self._listing.watched and now - self.busy_at < QUIET_SECONDS

    def scan_due(self, now: float) -> bool:
        """Whether it is time for a look at the directory; `now` is monotonic."""
        due = now >= self._look_at or (self._changed and now >= self._list_at)
        return due and self.tenant.may_look(now)

    def rest(self, now: float) -> None:
        """The end of a tick: work out when the next one matters."""
        if self.due(now):
            self.wake_at = 0.0
        else:
            self.wake_at = min(self._look_at, self._list_at if self._changed else math.inf)

    def scan(self, now: float) -> None:
        """Notice new, rotated, rewritten and deleted files, and new runs."""
        started = self._root.clock()
        self.scanned_at = now
        self._changed = False
        try:
            if now >= self._look_at:
                self._look_at = now + self._look_seconds(now)
                self._written = self._segments.notice_rewrites() or self._written
            self._list_if_changed()
        except OSError as error:
            self._segments.read_errors.note("", error)
        if (labels := self._identify()) is not None:
            self._runs.update(labels, self.tenant.info(), now)
        seconds = self._root.clock() - started
        self._list_at = now + SHARE * seconds
        self.tenant.looked(now, seconds)

    def read(self, now: float) -> Iterator[None]:
        """Read what is new, at most its part of the tenant's share; yields after each chunk."""
        labels = self._identify()
        self.read_at = now
        self._behind = True  # until proven otherwise
        if labels is None or not self._consumer.accepts(self):
            return
        told, self._written = self._written, False
        left = self.tenant.part
        for file in self._segments.unfinished():
            self._segments.check(file)
            while left > 0 and self._consumer.accepts(self) and self.tenant.may_read():
                started = self._root.clock()
                chunk = self._next(file)
                if chunk is None:
                    self._at_end(file)
                    self.tenant.spent(0, self._root.clock() - started)
                    yield
                    break
                self._take(labels, chunk, file)
                left -= len(chunk)
                self.tenant.spent(len(chunk), self._root.clock() - started)
                self.busy_at = now
                yield
                if file.tail.drained and file.state is not State.DELETED:
                    self._at_end(file)
                    break
            else:
                self._segments.let_go(file)
                return
        self._behind = False
        if told and self.busy_at != now:  # written, and yet nothing new: rewritten?
            self._look_at = 0.0

    def gone(self) -> None:
        """The directory is no longer there: what is open is read to its end and closed."""
        self._listing.close()
        self._segments.delete_all()
        self.touched(WRITTEN)

    def close(self) -> None:
        """Close every file and end the series."""
        self._listing.close()
        self._segments.close()
        self._runs.close()
        self._consumer.release(self)

    def _look_seconds(self, now: float) -> float:
        busy = now - self.busy_at < QUIET_SECONDS
        if self._listing.watched:
            return WATCHED_LOOK_SECONDS if busy else WATCHED_QUIET_LOOK_SECONDS
        return LOOK_SECONDS if busy else QUIET_LOOK_SECONDS

    def _identify(self) -> Labels | None:
        """The labels of its series; they never change once they are known."""
        if self._labels is None:
            identity = self.tenant.identity(self._rank.container)
            if identity is not None:
                ranks = ("node_rank", self._rank.node_rank), ("local_rank", self._rank.local_rank)
                self._labels = (*identity, *ranks)
        return self._labels

    def _list_if_changed(self) -> None:
        if self._segments.stale:
            self._listing.relist()
        limit = self._settings.limits_directory_entries
        entries = self._listing.changed(limit, METRICS_FILE)
        self._segments.read_errors.lift("")
        if entries is None:
            return
        if self._listing.cut:
            self.tenant.limited("directory_entries")
        self._segments.follow([entry for entry in entries if entry.status is not None])
        self._written = True
        names = [entry.name for entry in entries if RUNS_FILE.fullmatch(entry.name)]
        self._runs.read(self._root, [f"{self._rank.name}/{name}" for name in names])

    def _next(self, file: Segment) -> bytes | None:
        """The next lines of a file, not before the consumer's place in it; None at its end."""
        chunk = self._segments.next(file)
        if chunk and not file.key:
            file.key = f"{self.path}/{file.tail.fingerprint}"
            if file.tail.skip_to(self._consumer.resume(file.key)):
                return self._segments.next(file)
        return chunk

    def _at_end(self, file: Segment) -> None:
        if self._segments.at_end(file) and file.key:
            self._consumer.forget(file.key)

    def _take(self, labels: Labels, chunk: bytes, file: Segment) -> None:
        batch = file.tail.decoded(chunk)
        self._counts.bytes += batch.size
        self._counts.lines.update(batch.results)
        if batch.records:
            self.newest = batch.records[-1].timestamp
            self._consumer.take(labels, batch.records, file.key, file.tail.offset, self)
