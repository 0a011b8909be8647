# SPDX-License-Identifier: Apache-2.0
"""Follows one rank: finds its files, and gives what is new in them to a consumer.

No rank may cost another one anything: reading is bounded by the share of its tenant.
"""

from __future__ import annotations

from collections.abc import Iterator

from primus_lens_exporter.model.labels import Labels
from primus_lens_exporter.reading.consumer import Consumer, PastFile
from primus_lens_exporter.reading.counts import Counts
from primus_lens_exporter.reading.layout import METRICS_FILE, RUNS_FILE
from primus_lens_exporter.reading.runs import Runs
from primus_lens_exporter.reading.schedule import Schedule
from primus_lens_exporter.reading.segment import Segment, State
from primus_lens_exporter.reading.segments import Segments
from primus_lens_exporter.reading.settings import ReadingSettings
from primus_lens_exporter.reading.tenant import Tenant
from primus_lens_exporter.reading.volume import RankDirectory, Volume
from primus_lens_exporter.reading.watcher import WRITTEN, Watcher


class RankFiles:
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
        self.schedule = Schedule(volume.root, rank.name, watcher)
        self.newest = 0.0
        """Unix seconds of the newest record read."""
        self.volume = volume
        self._rank = rank
        self._consumer = consumer
        self._settings = settings
        self._counts = counts
        self._segments = Segments(volume.root, rank.name, self.tenant, settings, counts)
        self._runs = Runs(consumer, self, self.tenant, settings.series_grace_seconds)
        self._labels: Labels | None = None

    @property
    def files(self) -> int:
        """How many files are followed."""
        return len(self._segments)

    @property
    def behind(self) -> int:
        """Bytes that wait to be read because the tenant's share was used up."""
        return self._segments.behind if self.schedule.behind else 0

    def dropped(self, reason: str, values: int) -> None:
        self.tenant.dropped(reason, values)

    def limited(self, limit: str) -> None:
        self.tenant.limited(limit)

    def past(self, most: int) -> list[PastFile]:
        return self._segments.past(most)

    def scan_due(self, now: float) -> bool:
        """Whether it is time for a look at the directory; `now` is monotonic."""
        return self.schedule.scan_due(now) and self.tenant.may_look(now)

    def scan(self, now: float) -> None:
        """Notice new, rotated, rewritten and deleted files, and new runs."""
        clock = self.volume.root.clock
        started = clock()
        try:
            if self.schedule.begin_scan(now) and self._segments.notice_rewrites():
                self.schedule.touched(WRITTEN)
            self._list_if_changed()
        except OSError as error:
            self._segments.read_errors.note("", error)
        if (labels := self._identify()) is not None:
            self._runs.update(labels, self.tenant.info(), now)
        seconds = clock() - started
        self.schedule.end_scan(seconds)
        self.tenant.looked(now, seconds)

    def read(self, now: float) -> Iterator[None]:
        """Read what is new, at most its part of the tenant's share; yields after each chunk."""
        labels = self._identify()
        if labels is None or not self._consumer.accepts(self):
            self.schedule.put_off(now)
            return
        written = self.schedule.begin_turn(now)
        left = self.tenant.part
        for file in self._segments.unfinished():
            self._segments.check(file)
            while left > 0 and self._consumer.accepts(self) and self.tenant.may_read():
                size = self._read_next(labels, file)
                yield
                if size is None:
                    break
                left -= size
                if self._drained(file):
                    break
            else:
                self._segments.let_go(file)
                return
        self.schedule.all_read(written=written)

    def gone(self) -> None:
        """The directory is no longer there: what is open is read to its end and closed."""
        self.schedule.listing.close()
        self._segments.delete_all()
        self.schedule.touched(WRITTEN)

    def close(self) -> None:
        """Close every file and end the series."""
        self.schedule.listing.close()
        self._segments.close()
        self._runs.close()
        self._consumer.release(self)

    def _identify(self) -> Labels | None:
        """The labels of its series; they never change once they are known."""
        if self._labels is None:
            identity = self.tenant.identity(self._rank.container)
            if identity is not None:
                ranks = ("node_rank", self._rank.node_rank), ("local_rank", self._rank.local_rank)
                self._labels = (*identity, *ranks)
        return self._labels

    def _list_if_changed(self) -> None:
        listing, limit = self.schedule.listing, self._settings.limits_directory_entries
        if self._segments.stale:
            listing.relist()
        entries = listing.changed(limit, METRICS_FILE)
        self._segments.read_errors.lift("")
        if entries is None:
            return
        if listing.cut:
            self.tenant.limited("directory_entries")
        self._segments.follow([entry for entry in entries if entry.status is not None])
        self.schedule.touched(WRITTEN)
        names = [entry.name for entry in entries if RUNS_FILE.fullmatch(entry.name)]
        self._runs.read(self.volume.root, [f"{self._rank.name}/{name}" for name in names])

    def _read_next(self, labels: Labels, file: Segment) -> int | None:
        """Take the next lines of a file; returns how many bytes, None at its end."""
        clock = self.volume.root.clock
        started = clock()
        chunk = self._next(file)
        if chunk is None:
            self._at_end(file)
            self.tenant.spent(0, clock() - started)
            return None
        self._take(labels, chunk, file)
        self.tenant.spent(len(chunk), clock() - started)
        self.schedule.found()
        return len(chunk)

    def _next(self, file: Segment) -> bytes | None:
        """The next lines of a file, not before the consumer's place in it; None at its end."""
        chunk = self._segments.next(file)
        if chunk and not file.key and file.begin(self.path, self._consumer.resume):
            return self._segments.next(file)
        return chunk

    def _drained(self, file: Segment) -> bool:
        """Whether to ask for no more: a deleted file may have a last line without an end."""
        drained = file.tail.drained and file.state is not State.DELETED
        if drained:
            self._at_end(file)
        return drained

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
