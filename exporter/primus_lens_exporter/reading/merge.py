# SPDX-License-Identifier: Apache-2.0
"""Lines of several processes of one rank, merged by time.

Each has files of its own. Read one after the other, a backlog of two would go back in time, and a
receiver of remote write refuses what does. Where there is but one process, nothing of this is used.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator
from typing import NamedTuple

from primus_lens_exporter.model.record import Record
from primus_lens_exporter.reading.decode import Batch
from primus_lens_exporter.reading.segment import Segment
from primus_lens_exporter.reading.shared_reads import TOO_EARLY, Piece

BATCH_RECORDS = 256


class Line(NamedTuple):
    """One line, decoded; its batch has at most two records, where a torn one is in front."""

    time: float
    """Unix seconds; of a line without a record, that of the one before it."""

    batch: Batch
    file: Segment
    start: int
    end: int
    """The file's positions in front of it and behind it."""


class Stream:
    """The lines of one process, in the order of its files, for one reader."""

    def __init__(
        self, files: list[Segment], reader: int, next_lines: Callable[[Segment], Piece | None]
    ) -> None:
        """`next_lines` reads on in a file, line by line; None at its end."""
        self.head: Line | None = None
        """The next one; None at the end of all files."""
        self.is_waiting = False
        """Whether the head stands for lines that may not be read yet."""
        self._reader = reader
        self._next_lines = next_lines
        self._lines = self._read(files)
        self._time = 0.0
        self.advance()

    def __lt__(self, other: Stream) -> bool:
        assert self.head is not None
        assert other.head is not None
        return self.head.time < other.head.time

    def advance(self) -> None:
        """Go on to the next line."""
        self.head = next(self._lines, None)

    def stop(self) -> None:
        """The head is left to the next turn."""
        if self.head is not None:
            self.head.file.tails[self._reader].rewind(self.head.start)

    def _read(self, files: list[Segment]) -> Iterator[Line]:
        for file in files:
            while (piece := self._next_lines(file)) is not None:
                if piece is TOO_EARLY:
                    self.is_waiting = True
                    offset = file.tails[self._reader].offset
                    yield Line(self._time, Batch([], {}, 0), file, offset, offset)
                    return
                end = piece.end.offset - piece.size
                for batch in piece.batches:
                    start, end = end, end + batch.size
                    if batch.records:
                        self._time = batch.records[0].timestamp
                    yield Line(self._time, batch, file, start, end)


def merged(streams: list[Stream]) -> Iterator[Line]:
    """All lines, the oldest first, up to those that wait. Whoever stops early stops the streams."""
    heap = [stream for stream in streams if stream.head is not None]
    heapq.heapify(heap)
    while heap:
        stream = heap[0]
        if stream.is_waiting:
            return
        line = stream.head
        assert line is not None
        stream.advance()  # before the line is handed out, so that a head never has been
        if stream.head is None:
            heapq.heappop(heap)
        else:
            heapq.heapreplace(heap, stream)
        yield line


class Merged:
    """Records of merged lines, and the positions behind them."""

    def __init__(self) -> None:
        self._records: list[Record] = []
        self._positions: dict[str, int] = {}

    @property
    def is_full(self) -> bool:
        return len(self._records) >= BATCH_RECORDS

    def add(self, line: Line, records: list[Record]) -> None:
        self._records += records
        if line.batch.records:
            self._positions[line.file.key] = line.end

    def take(self) -> tuple[list[Record], dict[str, int]]:
        """What is there; then there is nothing."""
        taken = self._records, self._positions
        self._records, self._positions = [], {}
        return taken
