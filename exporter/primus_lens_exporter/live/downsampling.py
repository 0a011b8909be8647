# SPDX-License-Identifier: Apache-2.0
"""Downsampling: fewer points than there are, such that a chart of them looks the same.

Neighbours are put together, twice as many each time that there are too many, and of each
stretch its lowest and its highest value stay, and one that is not finite: what stands out
is never dropped. Memory is bounded by the number of points asked for. Pure.
"""

from __future__ import annotations

import math
from typing import NamedTuple


class Point(NamedTuple):
    """One value that was logged."""

    place: int
    """Its number among the values of its key."""

    time: float
    """Unix seconds."""

    step: float | None
    value: float


class Downsampler:
    """Takes the points of one key in their order, and keeps all while there are few.

    Beyond `most` it keeps between half of that and all of it, and those that are not finite.
    """

    def __init__(self, most: int) -> None:
        self._most = max(1, most // 2)  # stretches, of two points each
        self._length = 1
        self._count = 0
        self._full: list[list[Point]] = []
        self._open: list[Point] = []
        self._newest: Point | None = None

    def add(self, time: float, step: float | None, value: float) -> None:
        """One more point, the newest."""
        self._newest = Point(self._count, time, step, value)
        self._open.append(self._newest)
        self._count += 1
        if self._count % self._length:
            return
        self._full.append(_extremes(self._open))
        self._open = []
        if len(self._full) > self._most:
            self._double()

    def points(self) -> list[Point]:
        """Those that are kept, in their order; the newest one always is."""
        kept = [point for stretch in self._full for point in stretch] + _extremes(self._open)
        if self._newest is not None and kept[-1] is not self._newest:
            kept.append(self._newest)
        return kept

    def _double(self) -> None:
        self._length *= 2
        if len(self._full) % 2:  # the odd one is the first half of the next stretch
            self._open = self._full.pop()
        pairs = zip(self._full[::2], self._full[1::2], strict=True)
        self._full = [_extremes(first + second) for first, second in pairs]


def _extremes(points: list[Point]) -> list[Point]:
    finite = [point for point in points if math.isfinite(point.value)]
    kept = {point for point in points if not math.isfinite(point.value)}
    kept = {min(kept)} if kept else set()
    if finite:
        kept |= {min(finite, key=_value), max(finite, key=_value)}
    return sorted(kept)


def _value(point: Point) -> float:
    return point.value
