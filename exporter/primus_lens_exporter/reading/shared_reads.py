# SPDX-License-Identifier: Apache-2.0
"""One turn of a rank, in which each part of its files is read and decoded once for all readers.

A reader that is somewhere else than the others reads for itself. Little is kept, and nothing of it
longer than the turn.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from primus_lens_exporter.reading.decode import Batch
from primus_lens_exporter.reading.segment import Segment
from primus_lens_exporter.reading.segments import Segments
from primus_lens_exporter.reading.tail import BEGINNING, CAREFUL_CHUNK, CHUNK, Place, Tail

KEPT_BYTES = 16 * CHUNK  # several processes' lines are merged from as many chunks

LINE_END = re.compile(rb"(?<=\n)")

Key = tuple[Segment, int, bool, bool]
"""File, offset, whether a line is being passed over, whether lines are decoded one by one."""


class Piece(NamedTuple):
    """Lines that were read and decoded."""

    batches: list[Batch]
    """One of them all, or one for each line."""

    size: int
    """Bytes of all of them."""

    end: Place
    drained: bool
    """Whether it was read up to the end of the file."""


TOO_EARLY = Piece([], 0, BEGINNING, drained=False)
"""In the place of lines that may not be read yet."""


class SharedReads:
    """The turn: what was looked at in it, and what was read that others may still take."""

    def __init__(self, segments: Segments, readers: int, now: float) -> None:
        self.began_at = now
        self._segments = segments
        self._most = KEPT_BYTES if readers > 1 else 0
        self._looked_at: set[Segment] = set()
        self._kept: dict[Key, Piece | None] = {}
        self._bytes = 0

    def check(self, file: Segment) -> None:
        """Before a file is read: notice, once in the turn, that it was written anew."""
        if file not in self._looked_at:
            self._looked_at.add(file)
            self._segments.check(file)

    def next(self, file: Segment, tail: Tail, *, by_line: bool) -> Piece | None:
        """The next lines behind a reader's place; None at the end, and where reading fails."""
        key = file, tail.offset, tail.place.skipping, by_line
        if key not in self._kept:
            piece = self._read(file, tail, by_line=by_line)
            self._keep(key, piece, at_end=tail.drained)
            return piece
        piece = self._kept[key]
        tail.drained = piece is None or piece.drained
        if piece is not None:
            tail.place = piece.end
        return piece

    def _read(self, file: Segment, tail: Tail, *, by_line: bool) -> Piece | None:
        chunk = self._segments.next(file, tail, CAREFUL_CHUNK if by_line else CHUNK)
        if chunk is None:
            return None
        lines = filter(None, LINE_END.split(chunk)) if by_line else [chunk]
        batches = [tail.decoded(line) for line in lines]
        return Piece(batches, len(chunk), tail.place, tail.drained)

    def _keep(self, key: Key, piece: Piece | None, *, at_end: bool) -> None:
        """Have it for the readers that are behind, the newest pieces alone."""
        size = piece.size if piece else 0
        if size <= self._most and (piece or at_end):
            self._kept[key] = piece
            self._bytes += size
        while self._bytes > self._most:
            oldest = self._kept.pop(next(iter(self._kept)))
            self._bytes -= oldest.size if oldest else 0
