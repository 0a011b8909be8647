# SPDX-License-Identifier: Apache-2.0
"""Follows one rank: finds its files, and gives what is new in them to a consumer.

No rank may cost another one anything: reading is bounded by the share of its tenant.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Mapping
from functools import partial
from itertools import chain

from primus_lens_exporter.model.labels import Labels
from primus_lens_exporter.model.record import Record
from primus_lens_exporter.reading.consumer import Consumer, PastFile
from primus_lens_exporter.reading.counts import Counts
from primus_lens_exporter.reading.decode import Batch
from primus_lens_exporter.reading.layout import METRICS_FILE, RUNS_FILE
from primus_lens_exporter.reading.merge import Merged, Stream, merged
from primus_lens_exporter.reading.runs import Runs
from primus_lens_exporter.reading.schedule import Schedule
from primus_lens_exporter.reading.segment import Segment, State
from primus_lens_exporter.reading.segments import Segments
from primus_lens_exporter.reading.sequences import Sequences
from primus_lens_exporter.reading.settings import ReadingSettings
from primus_lens_exporter.reading.tail import CHUNK
from primus_lens_exporter.reading.tenant import Tenant
from primus_lens_exporter.reading.volume import RankDirectory, Volume
from primus_lens_exporter.reading.watcher import CHANGED, WRITTEN, Watcher


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
        self.sequences = Sequences(self.tenant.sequence_quota)
        self.is_current = False
        """Whether all that was there when it was found has been read."""
        self._is_listed = False
        self._missing: set[str] = set()
        """Runs of which a directory that is back has shown nothing so far."""
        self._runs = Runs(consumer, self, settings.series_grace_seconds)
        self._labels: Labels | None = None
        self._gone = False

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

    def also_written(self, paths: Iterable[str]) -> None:
        self.tenant.shared(self.path, paths)

    def limited(self, limit: str) -> None:
        self.tenant.limited(limit)

    def logged(self, run_id: str) -> int:
        return self.sequences.logged(run_id)

    def past(self, most: int) -> list[PastFile]:
        return self._segments.past(most)

    def scan_due(self, now: float) -> bool:
        """Whether it is time for a look at the directory; `now` is monotonic."""
        return self.schedule.scan_due(now) and self.tenant.may_look(now)

    def scan(self, now: float) -> None:
        """Notice new, rotated, rewritten and deleted files, and new runs."""
        started = self.volume.root.clock()
        try:
            if self.schedule.begin_scan(now) and self._segments.notice_rewrites():
                self.schedule.touched(WRITTEN)
            if not self._gone:  # another rank's may have the name by now
                self._list_if_changed()
        except OSError as error:
            self._segments.read_errors.note("", error)
        if (labels := self._identify()) is not None:
            self._runs.update(labels, self.tenant.info(), now)
        seconds = self.volume.root.cost(started)
        self.schedule.end_scan(seconds)
        self.tenant.looked(now, seconds)

    def read(self, now: float) -> Iterator[None]:
        """Read what is new, at most its part of the tenant's share; yields after each chunk."""
        labels = self._identify()
        if labels is None or not self._consumer.accepts(self):
            self.schedule.put_off(now)
            return
        written = self.schedule.begin_turn(now)
        owners = self._segments.unfinished()
        all_read = True
        if len(owners) > 1:
            all_read = yield from self._read_merged(labels, owners)
        else:
            for files in owners.values():
                all_read = yield from self._read_in_order(labels, files)
        if all_read:
            self.schedule.all_read(written=written)
            if self._is_listed:
                self._end_missing(labels)
        if not self.is_current and self._is_listed and (all_read or self._segments.backlog_read):
            self._runs.caught_up(labels, now)
            self.is_current = True
            self._consumer.caught_up(self)

    def _end_missing(self, labels: Labels) -> None:
        """End the runs that a directory which was begun anew no longer has."""
        for run_id in self._missing:
            self._consumer.end(labels, run_id, self.sequences.newest(run_id), self)
        self._missing.clear()

    def rest(self, now: float) -> None:
        """The end of a tick: end what is over, and sleep until there may be something to do."""
        if self._labels is not None and now >= self._runs.next_end:
            self._runs.end_due(self._labels, now)
        self.schedule.rest(now, self._runs.next_end)

    def gone(self) -> None:
        """The directory is no longer there: what is open is read to its end and closed."""
        self._gone = True
        self.schedule.listing.close()
        self._segments.delete_all()
        self.schedule.touched(WRITTEN)

    def there_again(self) -> None:
        """The directory is back: it is read on, not anew."""
        self._gone = self._is_listed = False
        self._missing = set(self.sequences)
        self.schedule.touched(CHANGED)

    def close(self) -> None:
        """Close every file and end the series."""
        self.schedule.listing.close()
        self._segments.close()
        self._runs.close()
        self.sequences.close()
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
        self._is_listed = True
        self.schedule.touched(WRITTEN)
        names = [entry.name for entry in entries if RUNS_FILE.fullmatch(entry.name)]
        self._runs.read(self.volume.root, [f"{self._rank.name}/{name}" for name in names])

    def _read_in_order(self, labels: Labels, files: list[Segment]) -> Generator[None, None, bool]:
        """Read the files of one process; returns whether all was read."""
        left = self.tenant.part
        for file in files:
            self._segments.check(file)
            while left > 0 and self._may_read():
                chunk = self._next(file, CHUNK)
                if chunk is None:
                    self._at_end(file)
                    break
                left -= len(chunk)
                self._take(labels, file, file.tail.decoded(chunk))
                yield
                if file.tail.drained and file.state is not State.DELETED:
                    self._at_end(file)  # a deleted file may have a last line without an end
                    break
            else:
                self._segments.let_go(file)
                return False
        return True

    def _read_merged(
        self, labels: Labels, owners: Mapping[str, list[Segment]]
    ) -> Generator[None, None, bool]:
        """Read the files of several processes by time; returns whether all was read."""
        ended: list[Segment] = []
        streams: list[Stream] = []
        try:
            for files in owners.values():
                if not self._may_read():
                    break
                next_chunk = partial(self._next, ended=ended)
                streams.append(Stream(files, self._segments.check, next_chunk))
                yield
            all_taken = yield from self._take_merged(labels, streams)
            return all_taken and len(streams) == len(owners)
        finally:
            for stream in streams:
                stream.stop()
            for file in ended:
                self._at_end(file)
            for file in chain.from_iterable(owners.values()):
                self._segments.let_go(file)

    def _take_merged(self, labels: Labels, streams: list[Stream]) -> Generator[None, None, bool]:
        """Take the lines of streams; returns whether all were taken."""
        left, lines = self.tenant.part, Merged()
        for line in merged(streams):
            left -= line.batch.size
            lines.add(line, self._fresh(line.file, line.batch))
            if not lines.is_full:
                continue
            self._deliver(labels, *lines.take())
            yield
            if left <= 0 or not self._may_read():
                return False
        self._deliver(labels, *lines.take())
        return True

    def _may_read(self) -> bool:
        return self._consumer.accepts(self) and self.tenant.may_read()

    def _next(self, file: Segment, most: int, ended: list[Segment] | None = None) -> bytes | None:
        """The next lines of a file, not before the consumer's place in it; None at its end."""
        clock = self.volume.root.clock
        started = clock()
        chunk = self._segments.next(file, most)
        if (
            chunk
            and not file.key
            and file.begin(self.path, self._segments.keys(), self._consumer.resume)
        ):
            chunk = self._segments.next(file, most)
        if chunk is None:
            if ended is not None:
                ended.append(file)
        else:
            self.schedule.found()
        self.tenant.spent(len(chunk or b""), clock() - started)
        return chunk

    def _at_end(self, file: Segment) -> None:
        if self._segments.at_end(file) and file.key:
            self._consumer.forget(file.key)

    def _take(self, labels: Labels, file: Segment, batch: Batch) -> None:
        clock = self.volume.root.clock
        started = clock()
        positions = {file.key: file.tail.offset} if batch.records else {}
        self._deliver(labels, self._fresh(file, batch), positions)
        self.tenant.spent(0, clock() - started)

    def _fresh(self, file: Segment, batch: Batch) -> list[Record]:
        """Count what is in a batch; returns the records that have not been there before."""
        self._counts.bytes += batch.size
        self._counts.lines.update(batch.results)
        if self._missing:
            self._missing.difference_update(record.run for record in batch.records)
        return self.sequences.fresh(file.owner, batch.records) if batch.records else []

    def _deliver(self, labels: Labels, records: list[Record], positions: Mapping[str, int]) -> None:
        if positions:
            self._consumer.take(labels, records, positions, self)
        if records:
            self.newest = records[-1].timestamp
            self._runs.logged(labels, self.tenant.info, records)
