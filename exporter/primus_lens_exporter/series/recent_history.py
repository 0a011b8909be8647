# SPDX-License-Identifier: Apache-2.0
"""The last hour of one run on one rank: its step and its losses, ten seconds apart.

It holds what a Prometheus that scrapes every ten seconds would have, so that the live page
can ask of it what the alerts ask of Prometheus. By the records' own time: after a restart
of the exporter the hour is there again. Pure: no files, no clock.
"""

from __future__ import annotations

import bisect
import math
from array import array
from collections.abc import Iterator, Mapping, Sequence

from primus_lens_exporter.model.record import Record, as_float

EVERY_SECONDS = 10.0
KEPT = 390  # 65 minutes: the hour before the last five
MAX_LOSSES = 4  # of one run on one rank: 20 kB at most


class RecentHistory:
    """Grows by one sample in ten seconds at most, and holds 65 minutes of them."""

    __slots__ = ("at", "due", "losses", "steps")

    def __init__(self) -> None:
        self.at = array("d")
        """Unix seconds of each sample, oldest first."""
        self.steps = array("d")
        """From the first sample on at which one was known; the newest is that of `at`."""
        self.losses: dict[str, array[float]] = {}
        """By key, likewise."""
        self.due = -math.inf
        """When there may be a next sample: Unix seconds of a record."""

    def add_loss(self, key: str) -> None:
        """Keep this key's values too, while there are few such keys."""
        if len(self.losses) < MAX_LOSSES:
            self.losses[key] = array("d")

    def take(
        self, records: Sequence[Record], step: float | None, losses: Mapping[str, float]
    ) -> None:
        """Records up to one that is due, with the step and the losses at their end."""
        end = records[-1].timestamp
        if end >= self.due + 2 * EVERY_SECONDS:
            self._catch_up(records)
        if end >= self.due:
            self._append(end, step, losses)

    def window(self, values: array[float], start: float, end: float) -> Iterator[float]:
        """What each scrape from `start` to `end` (Unix seconds) would have found.

        Nothing before the first sample; the newest value again where none is as new.
        """
        slot, unknown = 0, len(self.at) - len(values)
        for scrape in range(math.ceil(start / EVERY_SECONDS), math.floor(end / EVERY_SECONDS) + 1):
            slot = bisect.bisect_right(self.at, scrape * EVERY_SECONDS, lo=slot)
            if slot > unknown:
                yield values[slot - 1 - unknown]

    def _catch_up(self, records: Sequence[Record]) -> None:
        """A backlog: many samples in one batch."""
        step: float | None = None
        losses: dict[str, float] = {}
        for record in records:
            if record.step is not None and not record.late:
                step = as_float(record.step)
            for key in self.losses:
                if (value := as_float(record.data.get(key))) is not None:
                    losses[key] = value
            if record.timestamp >= self.due:
                self._append(record.timestamp, step, losses)

    def _append(self, at: float, step: float | None, losses: Mapping[str, float]) -> None:
        self.due = at + EVERY_SECONDS
        self.at.append(at)
        _go_on(self.steps, step)
        for key, values in self.losses.items():
            _go_on(values, losses.get(key))
        for column in (self.at, self.steps, *self.losses.values()):
            if len(column) > KEPT:
                del column[0]


def _go_on(column: array[float], value: float | None) -> None:
    """Append the value; where there is none, the one before, if there was one."""
    if value is not None:
        column.append(value)
    elif column:
        column.append(column[-1])
