# SPDX-License-Identifier: Apache-2.0
"""Gives one consumer what is new in the files of one rank.

Each consumer has a reader of its own for each rank: its places in the files, the records that it
has had, and the runs that it knows. One that lags must hold no other one up.
"""

from __future__ import annotations

import time
from collections.abc import Generator, Iterable, Iterator, Mapping
from functools import partial
from itertools import chain

from primus_lens_exporter.model.labels import Labels
from primus_lens_exporter.model.record import Record
from primus_lens_exporter.reading.consumer import Consumer, PastFile
from primus_lens_exporter.reading.counts import Counts
from primus_lens_exporter.reading.decode import Batch
from primus_lens_exporter.reading.merge import Merged, Stream, merged
from primus_lens_exporter.reading.runs import Runs
from primus_lens_exporter.reading.segment import Segment, State
from primus_lens_exporter.reading.segments import Segments
from primus_lens_exporter.reading.sequences import Sequences
from primus_lens_exporter.reading.shared_reads import TOO_EARLY, Piece, SharedReads
from primus_lens_exporter.reading.tenant import Tenant
from primus_lens_exporter.reading.volume import Volume

FRONT_SECONDS = 1.0  # a copy may bring the files of a directory in any order


class RankReader:
    """Reads one rank for one consumer, to which it is the holder of the rank's series."""

    def __init__(
        self,
        number: int,
        consumer: Consumer,
        segments: Segments,
        volume: Volume,
        tenant: Tenant,
        counts: Counts | None,
        grace_seconds: float,
    ) -> None:
        """`number`: the consumer's, in the tenant's shares and in the tails of each file.

        `counts`: None where the lines are counted for another consumer.
        """
        self.path = segments.path
        self.volume = volume
        self.newest = 0.0
        """Unix seconds of the newest record read."""
        self.is_current = False
        """Whether all that was there when the rank was found has been read."""
        self.behind = True
        """Whether there may be more to read than its last turn has read."""
        self.busy_at = time.monotonic()
        """When there was last something to read."""
        self.is_released = False
        """Whether the consumer has forgotten the rank."""
        self._number = number
        self._consumer = consumer
        self._segments = segments
        self._tenant = tenant
        self._counts = counts
        self._share = share = tenant.shares[number]
        self.quota, self.history_quota = share.quota, share.history_quota
        self.sequences = Sequences(share.sequence_quota)
        self.runs = Runs(consumer, self, grace_seconds)
        self._missing: set[str] = set()
        """Runs of which a directory that is back has shown nothing so far."""

    def dropped(self, reason: str, values: int) -> None:
        self._tenant.dropped(reason, values)

    def also_written(self, paths: Iterable[str]) -> None:
        self._tenant.shared(self.path, paths)

    def limited(self, limit: str) -> None:
        self._tenant.limited(limit)

    def logged(self, run_id: str) -> int:
        return self.sequences.logged(run_id)

    def past(self, most: int) -> list[PastFile]:
        return self._segments.past(most)

    def begin_turn(self) -> bool:
        """Whether its consumer takes anything now."""
        self.behind = True  # until proven otherwise
        return self._consumer.accepts(self)

    def read(self, reads: SharedReads, labels: Labels, *, is_listed: bool) -> Iterator[None]:
        """Read what is new, at most its part of the share; yields between chunks."""
        owners = self._segments.unfinished(self._number)
        all_read = True
        if len(owners) > 1:
            all_read = yield from self._read_merged(labels, owners, reads)
        else:
            for files in owners.values():
                all_read = yield from self._read_in_order(labels, files, reads)
        if all_read:
            self.behind = False
            if is_listed:
                self._end_missing(labels)
        is_read = all_read or self._segments.backlog_read(self._number)
        if not self.is_current and is_listed and is_read:
            self.runs.caught_up(labels, reads.began_at)
            self.is_current = True
            self._consumer.caught_up(self)

    def there_again(self) -> None:
        """The directory is back: it is read on, not anew."""
        self._missing = set(self.sequences)

    def release(self) -> None:
        """End the series."""
        self.is_released = True
        self.behind = False
        self.runs.close()
        self.sequences.close()
        self._consumer.release(self)

    def _end_missing(self, labels: Labels) -> None:
        """End the runs that a directory which was begun anew no longer has."""
        for run_id in self._missing:
            self._consumer.end(labels, run_id, self.sequences.newest(run_id), self)
        self._missing.clear()

    def _read_in_order(
        self, labels: Labels, files: list[Segment], reads: SharedReads
    ) -> Generator[None, None, bool]:
        """Read the files of one process; returns whether all was read."""
        left, clock = self._share.part, self.volume.root.clock
        for file in files:
            if file is not files[0]:
                yield
            reads.check(file)
            while left > 0 and self._may_read():
                started = clock()
                piece = self._next(file, reads, by_line=False)
                if piece is TOO_EARLY:
                    self._segments.let_go(file)
                    return False
                if piece is None:
                    self._at_end(file)
                    break
                left -= piece.size
                self._take(labels, file, piece)
                self._share.spent(piece.size, clock() - started)
                if piece.drained and file.state is not State.DELETED:
                    self._at_end(file)  # a deleted file may have a last line without an end
                    break
                yield
            else:
                self._segments.let_go(file)
                return False
        return True

    def _read_merged(
        self, labels: Labels, owners: Mapping[str, list[Segment]], reads: SharedReads
    ) -> Generator[None, None, bool]:
        """Read the files of several processes by time; returns whether all was read."""
        ended: list[Segment] = []
        streams: list[Stream] = []
        next_lines = partial(self._next_or_ended, reads, ended)
        try:
            for files in owners.values():
                if not self._may_read():
                    break
                streams.append(Stream(files, self._number, next_lines))
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
        left, lines = self._share.part, Merged()
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
        return not any(stream.is_waiting for stream in streams)

    def _may_read(self) -> bool:
        return self._consumer.accepts(self) and self._share.may_read()

    def _next_or_ended(
        self, reads: SharedReads, ended: list[Segment], file: Segment
    ) -> Piece | None:
        reads.check(file)
        clock = self.volume.root.clock
        started = clock()
        piece = self._next(file, reads, by_line=True)
        if piece is None:
            ended.append(file)
        self._share.spent(piece.size if piece else 0, clock() - started)
        return piece

    def _next(self, file: Segment, reads: SharedReads, *, by_line: bool) -> Piece | None:
        """The next lines of a file, not before the consumer's place in it; None at its end."""
        tail = file.tails[self._number]
        before = tail.place
        piece = reads.next(file, tail, by_line=by_line)
        if piece is not None and file.key and not tail.begun:
            piece = self._begin(file, reads, piece, by_line=by_line)
            if not tail.begun:
                tail.place = before
        if piece is not None:
            self.busy_at = reads.began_at
        return piece

    def _begin(
        self, file: Segment, reads: SharedReads, first: Piece, *, by_line: bool
    ) -> Piece | None:
        """The first lines of a file are there: begin with it where the consumer says."""
        tail, offset = file.tails[self._number], self._consumer.resume(file.key)
        if offset and not self._segments.reach(file):
            return None
        if not offset and self._is_early(file, first, reads.began_at):
            return TOO_EARLY
        tail.begun = True
        return reads.next(file, tail, by_line=by_line) if tail.skip_to(offset) else first

    def _is_early(self, file: Segment, first: Piece, now: float) -> bool:
        """Whether lines are missing in front of a file that may be on their way."""
        if now - self._segments.opened_at >= FRONT_SECONDS:
            return False
        records = [record for batch in first.batches for record in batch.records]
        return not self.sequences.follows(file.owner, records)

    def _at_end(self, file: Segment) -> None:
        if self._segments.at_end(file, file.tails[self._number]) and file.key:
            self._consumer.forget(file.key)

    def _take(self, labels: Labels, file: Segment, piece: Piece) -> None:
        (batch,) = piece.batches
        positions = {file.key: piece.end.offset} if batch.records else {}
        self._deliver(labels, self._fresh(file, batch), positions)

    def _fresh(self, file: Segment, batch: Batch) -> list[Record]:
        """Count what is in a batch; returns the records that have not been there before."""
        if self._counts is not None:
            self._counts.bytes += batch.size
            for result, lines in batch.results.items():
                self._counts.lines[result] += lines
        if self._missing:
            self._missing.difference_update(record.run for record in batch.records)
        return self.sequences.fresh(file.owner, batch.records) if batch.records else []

    def _deliver(self, labels: Labels, records: list[Record], positions: Mapping[str, int]) -> None:
        if positions:
            self._consumer.take(labels, records, positions, self)
        if records:
            self.newest = records[-1].timestamp
            self.runs.logged(labels, self._tenant.info, records)
