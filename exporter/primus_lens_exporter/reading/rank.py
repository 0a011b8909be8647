# SPDX-License-Identifier: Apache-2.0
"""Follows one rank: finds its files, and has what is new in them read for all consumers.

No rank may cost another one anything: reading is bounded by the share of its tenant.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from primus_lens_exporter.model.labels import Labels
from primus_lens_exporter.reading.consumer import Consumer
from primus_lens_exporter.reading.counts import Counts
from primus_lens_exporter.reading.faults import Isolated
from primus_lens_exporter.reading.layout import METRICS_FILE, RUNS_FILE
from primus_lens_exporter.reading.rank_reader import RankReader
from primus_lens_exporter.reading.runs_file import RunsFiles
from primus_lens_exporter.reading.schedule import Schedule
from primus_lens_exporter.reading.segments import Segments
from primus_lens_exporter.reading.settings import ReadingSettings
from primus_lens_exporter.reading.shared_reads import SharedReads
from primus_lens_exporter.reading.tenant import Tenant
from primus_lens_exporter.reading.volume import RankDirectory, Volume
from primus_lens_exporter.reading.watcher import CHANGED, WRITTEN, Watcher

UNREAD_SECONDS = 600.0  # what is gone waits so long for its identity, or for its reader

END = object()


class RankFiles:
    """Follows one rank directory. `scan` looks for files, `read` reads what is new."""

    def __init__(
        self,
        volume: Volume,
        rank: RankDirectory,
        consumers: Sequence[Consumer],
        settings: ReadingSettings,
        counts: Counts,
        watcher: Watcher,
    ) -> None:
        """What is read is counted for the first consumer alone."""
        self.path = f"{volume.root.path}/{rank.name}"
        self.tenant: Tenant = volume.tenant_of(rank.name)
        self.schedule = Schedule(volume.root, rank.name, watcher)
        self.volume = volume
        self._rank = rank
        self._consumers = consumers
        self._settings = settings
        self._counts = counts
        self._segments = Segments(
            volume.root, rank.name, self.tenant, settings, counts, len(consumers)
        )
        self._isolated = Isolated(counts, self.path)
        self._runs_files = RunsFiles(volume.root, rank.name, self.tenant)
        self._readers = [self._reader(number) for number in range(len(consumers))]
        self._is_listed = False
        self._labels: Labels | None = None
        self._gone = False

    @property
    def files(self) -> int:
        """How many files are followed."""
        return len(self._segments)

    @property
    def is_current(self) -> bool:
        """Whether the first consumer has had all that was there when it was found."""
        return self._readers[0].is_current

    @property
    def newest(self) -> float:
        """Unix seconds of the newest record that the first consumer has had."""
        return self._readers[0].newest

    @property
    def behind(self) -> int:
        """Bytes that wait for the first consumer, as the tenant's share was used up."""
        return self._segments.behind(0) if self._readers[0].behind else 0

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
            for reader in self._following():
                with self._isolated:
                    reader.runs.update(labels, self.tenant.info(), now)
        seconds = self.volume.root.cost(started)
        self.schedule.end_scan(seconds)
        self.tenant.looked(now, seconds)

    def read(self, now: float) -> Iterator[None]:
        """Read what is new, at most its part of the tenant's share; yields after each chunk.

        The readers take turns chunk by chunk: what one has read is there for the others.
        """
        labels = self._identify()
        accepting = [] if labels is None else list(filter(self._begins, self._following()))
        if labels is None or not accepting:
            self.schedule.put_off(now)
            return
        written = self.schedule.begin_turn(now)
        reads = SharedReads(self._segments, len(accepting), now)
        turns = [reader.read(reads, labels, is_listed=self._is_listed) for reader in accepting]
        while turns:
            for turn in turns[:]:
                if not self._goes_on(turn):
                    turns.remove(turn)
                yield
        if any(reader.busy_at == now for reader in accepting):
            self.schedule.found()
        if not all(reader.behind for reader in accepting):
            self.schedule.all_read(written=written)
        self.schedule.behind = any(reader.behind for reader in self._readers)

    def rest(self, now: float) -> None:
        """The end of a tick: end what is over, and sleep until there may be something to do."""
        if self._labels is not None:
            for reader in self._following():
                if now >= reader.runs.next_end:
                    with self._isolated:
                        reader.runs.end_due(self._labels, now)
        self.schedule.rest(now, min(reader.runs.next_end for reader in self._readers))

    def gone(self) -> None:
        """The directory is no longer there: what is open is read to its end and closed."""
        self._gone = True
        self.schedule.listing.close()
        self._segments.delete_all()
        self.schedule.touched(WRITTEN)

    def there_again(self) -> None:
        """The directory is back: it is read on, not anew, but by whoever has forgotten it."""
        self._gone = self._is_listed = False
        for number, reader in enumerate(self._readers):
            if reader.is_released:
                self._segments.begin_again(number)
                self._readers[number] = self._reader(number)
            else:
                reader.there_again()
        self.schedule.touched(CHANGED)

    def let_go(self, now: float, since: float) -> bool:
        """End the series of a rank that is gone `since` then where all is read and the grace over.

        Each consumer's for itself. True if nothing is left.
        """
        for reader in self._following():
            quiet = now - max(since, reader.busy_at) >= self._settings.series_grace_seconds
            unread = reader.behind or self.schedule.may_have_grown(now, reader.busy_at)
            if quiet and not (unread and now - since < UNREAD_SECONDS):
                with self._isolated:
                    reader.release()
        return not self._following()

    def close(self) -> None:
        """Close every file and end the series."""
        self.schedule.listing.close()
        self._segments.close()
        self._runs_files.close()
        for reader in self._following():
            reader.release()

    def _reader(self, number: int) -> RankReader:
        return RankReader(
            number,
            self._consumers[number],
            self._segments,
            self.volume,
            self.tenant,
            None if number else self._counts,
            self._settings.series_grace_seconds,
        )

    def _following(self) -> list[RankReader]:
        return [reader for reader in self._readers if not reader.is_released]

    def _begins(self, reader: RankReader) -> bool:
        """Whether a consumer takes anything now."""
        with self._isolated:
            return reader.begin_turn()
        return False

    def _goes_on(self, turn: Iterator[None]) -> bool:
        """Take one step of a reader's turn; False at its end."""
        with self._isolated:
            return next(turn, END) is not END
        return False

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
        infos = self._runs_files.read(names)
        for reader in self._following():
            reader.runs.take_over(infos)
