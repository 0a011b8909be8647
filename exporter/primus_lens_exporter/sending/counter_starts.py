# SPDX-License-Identifier: Apache-2.0
"""Since when each counter has been counting, as OTLP and remote write 2.0 want to know it.

Nothing that is read says when a counter began. As OpenTelemetry's data model has it for an
unknown start, a counter starts at its first sample, and again where its value falls. Starts
must survive a restart: a receiver takes a new start for a reset, and counts twice.
"""

from __future__ import annotations

from typing import NamedTuple

from primus_lens_exporter.model.sample import Series


class CounterStart(NamedTuple):
    """Where one counter stands."""

    at: int
    """Milliseconds since the epoch."""

    value: float
    """The newest one."""


class CounterStarts:
    """The starts of all counters, by the ids of their series. Costs nothing for gauges."""

    def __init__(self, known: dict[bytes, CounterStart]) -> None:
        """`known` are those that an earlier process left."""
        self._starts = known
        self._changed: dict[bytes, CounterStart | None] = {}

    def start(self, series: Series, at: int, value: float) -> int:
        """The start that belongs to a counter's next sample, in milliseconds."""
        known = self._starts.get(series.id)
        start = at if known is None or value < known.value else known.at
        self._starts[series.id] = self._changed[series.id] = CounterStart(start, value)
        return start

    def forget(self, series: bytes) -> None:
        """Its run is over."""
        if self._starts.pop(series, None) is not None:
            self._changed[series] = None

    def take_changes(self) -> dict[bytes, CounterStart | None]:
        """What is to be committed: everything that changed since the last call."""
        changed, self._changed = self._changed, {}
        return changed
