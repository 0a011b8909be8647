# SPDX-License-Identifier: Apache-2.0
"""What one run has logged on one rank, read once more from the rank's files for a chart.

The files are a pod's: they are opened as all of them are, and how much is read, of how many
of them, and how much is kept are bounded. It yields often: no scrape waits for a chart.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import NamedTuple

from primus_lens_hook import contract

from primus_lens_exporter.live.downsampling import Downsampler, Point
from primus_lens_exporter.model.record import Record, as_float
from primus_lens_exporter.model.series_rules import SeriesRules
from primus_lens_exporter.reading.consumer import PastFile
from primus_lens_exporter.reading.file_handle import FileHandle
from primus_lens_exporter.reading.tail import Tail

MAX_FILES = 16  # the newest ones; a rank's writer keeps fewer

Positions = Mapping[str, int]
"""How far each file was read, by its key."""


class Wanted(NamedTuple):
    """What is asked of a run's past."""

    run_id: str
    keys: Collection[str]
    """None of them: all."""

    points: int
    """Most of each key."""

    since: float = -math.inf
    """Unix seconds, as `until`."""

    until: float = math.inf


class Past(NamedTuple):
    """The answer."""

    positions: Positions
    reset: bool
    """Whether the position given was of no use, so that all was read."""

    truncated: bool
    """Whether there is more in front that was not read."""

    points: Mapping[str, list[Point]]


class Bounds(NamedTuple):
    """How much may be read, and of which keys."""

    file_bytes: int
    line_bytes: int
    rules: SeriesRules


class History:
    """One reading. `read` does it, piece by piece; then there is the `past`."""

    def __init__(self, wanted: Wanted, bounds: Bounds) -> None:
        self._wanted = wanted
        self._bounds = bounds
        self._keys: dict[str, Downsampler] = {}
        self._positions: dict[str, int] = {}
        self._reset = self._truncated = False

    @property
    def past(self) -> Past:
        """What has been read so far."""
        points = {key: downsampler.points() for key, downsampler in self._keys.items()}
        return Past(self._positions, self._reset, self._truncated, points)

    def read(self, files: Iterable[PastFile], after: Positions) -> Iterator[None]:
        """Read the files, oldest first, each from behind the given position; closes them."""
        with contextlib.ExitStack() as stack:
            tails = []
            for file in files:
                tail = Tail(FileHandle(file.fd), self._bounds.line_bytes)
                stack.callback(tail.file.detach)
                tails.append((file.key, tail))
            self._skip(tails, after)
            for key, tail in tails:
                yield from self._read(tail)
                self._positions[key] = tail.offset

    def _skip(self, tails: list[tuple[str, Tail]], after: Positions) -> None:
        """Begin where the reader had got to, and no further back than is allowed."""
        known = [tail.skip_to(after[key]) for key, tail in tails if after.get(key)]
        self._reset = bool(after) and not (known and all(known))
        left = self._bounds.file_bytes
        for _, tail in reversed(tails):
            if self._reset:
                tail.skip_to(0)
            if tail.behind > left:
                tail.skip_to(tail.offset + tail.behind - left)
                self._truncated = True
            left -= tail.behind

    def _read(self, tail: Tail) -> Iterator[None]:
        with contextlib.suppress(OSError):  # up to where the system can read no further
            for batch in tail.batches():
                for record in batch.records:  # a chunk of long ones would hold up a scrape
                    self._take(record)
                    yield

    def _take(self, record: Record) -> None:
        wanted = self._wanted
        if record.run != wanted.run_id or not wanted.since <= record.timestamp <= wanted.until:
            return
        step = as_float(record.step)
        for key in wanted.keys or record.data:
            number = as_float(record.data.get(key))
            if number is not None and (kept := self._kept(key)) is not None:
                kept.add(record.timestamp, step, number)

    def _kept(self, key: str) -> Downsampler | None:
        """None for what is no value of the user's, and beyond so many keys."""
        kept = self._keys.get(key)
        if kept is None and key != contract.ROW_MARK and self._is_wanted(key):
            kept = self._keys[key] = Downsampler(self._wanted.points)
        return kept

    def _is_wanted(self, key: str) -> bool:
        rules = self._bounds.rules
        return len(self._keys) < rules.limits_keys_per_rank and not rules.against_key(key)
