# SPDX-License-Identifier: Apache-2.0
"""Puts together what the ranks of a pod log under one key at one step.

A step's values are aggregated when each rank that logs the key has given its own. A rank that
was read past that time without one, or that is idle, is not waited for.
"""

from __future__ import annotations

from collections.abc import Iterator
from heapq import heappop, heappush

from primus_lens_exporter.model.rounds import Round, aggregate
from primus_lens_exporter.reading.consumer import Holder
from primus_lens_exporter.sampling.progress import SLACK_SECONDS, Progress
from primus_lens_exporter.sampling.rules import is_same

Mark = float
"""What the values of a round have in common: the step, or the number of the log call."""


class Waiting:
    """How many values of a pod wait, and how many may."""

    __slots__ = ("_limit", "values")

    def __init__(self, limit: int) -> None:
        self.values = 0
        self._limit = limit

    @property
    def used(self) -> float:
        """The part of the room that is used; above 1, something has to go."""
        return self.values / self._limit


class Cell:
    """The values of one key at one step, by rank."""

    __slots__ = ("at", "since", "values")

    def __init__(self, at: float, since: float) -> None:
        self.at = at
        """Unix seconds of the newest one."""
        self.since = since
        """When the first one came, monotonic."""
        self.values: dict[Holder, float] = {}


class AlignedKey:
    """The rounds of one key of one run that wait for values."""

    __slots__ = ("_absent", "_emitted", "_logging", "_order", "_waiting", "_window", "cells")

    def __init__(self, waiting: Waiting) -> None:
        self._waiting = waiting
        self.cells: dict[Mark, Cell] = {}
        self._order: list[tuple[float, Mark]] = []
        """A heap of them by the time of their first value: ranks log at different steps."""
        self._window: int | None = None
        """Of the newest round that was kept."""
        self._absent = 0
        """The bits of ranks that do not log it; a pod may have 256 ranks and thousands of keys."""
        self._logging = 0
        """Of those that have logged it, if only at some steps."""
        self._emitted: tuple[Mark, float] | None = None
        """Mark and time of the newest round."""

    def add(
        self, holder: Holder, bit: int, mark: Mark, at: float, value: float, now: float
    ) -> None:
        """Have a value wait for those of the other ranks. One that is too late is gone."""
        self._logging |= bit
        self._absent &= ~bit
        cell = self.cells.get(mark)
        if cell is None:
            if self._is_late(mark, at):
                return
            cell = self.cells[mark] = Cell(at, now)
            heappush(self._order, (at, mark))
        cell.at = max(cell.at, at)
        self._waiting.values += holder not in cell.values
        cell.values[holder] = value

    def complete(self, key: str, progress: Progress, now: float) -> Iterator[Round]:
        """The rounds that wait for nobody; they are gone from here."""
        while self.cells and self._is_complete(self.cells[self._order[0][1]], progress, now):
            yield self.oldest(key)

    def oldest(self, key: str) -> Round:
        """The oldest round as it is."""
        _, mark = heappop(self._order)
        cell = self.cells.pop(mark)
        self._waiting.values -= len(cell.values)
        self._emitted = mark, cell.at
        return Round(key, cell.at, aggregate(cell.values.values()))

    def keeps(self, window: int) -> bool:
        """Whether a round of this window is kept, of which one is."""
        if self._window is not None and is_same(window, self._window):
            return False
        self._window = window
        return True

    def leave(self, bit: int) -> None:
        """A rank is gone."""
        self._logging &= ~bit
        self._absent &= ~bit

    def _is_late(self, mark: Mark, at: float) -> bool:
        """Whether its round is over; after a checkpoint, steps come again much later."""
        if self._emitted is None:
            return False
        newest, newest_at = self._emitted
        return mark <= newest and at <= newest_at + SLACK_SECONDS

    def _is_complete(self, cell: Cell, progress: Progress, now: float) -> bool:
        for holder, rank in progress.ranks.items():
            if holder in cell.values or rank.bit & self._absent:
                continue
            if not rank.passed(cell.at, cell.since, now):
                return False
            self._absent |= rank.bit & ~self._logging
        return True
