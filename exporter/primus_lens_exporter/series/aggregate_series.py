# SPDX-License-Identifier: Apache-2.0
"""The newest aggregates over a pod's ranks: three series for each key of each run.

They have the pod's labels, and are on the page when the backlog of all ranks that they are made
of has been read.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence

from primus_lens_exporter.model.labels import Labels, label_text
from primus_lens_exporter.model.rounds import AGGREGATES, Round
from primus_lens_exporter.reading.consumer import Holder
from primus_lens_exporter.series.metric_family import MetricFamily

Key = tuple[Labels, str]
"""One run in one pod."""


class RunAggregates:
    """The series of one run."""

    __slots__ = ("_families", "_labels", "_quota", "_slots", "holders", "is_shown")

    def __init__(
        self, families: Sequence[MetricFamily], key: Key, holders: Collection[Holder]
    ) -> None:
        self.holders = set(holders)
        self.is_shown = False
        self._families = families
        self._labels = (*key[0], ("run_id", key[1]))
        self._quota = next(iter(holders)).quota
        self._slots: dict[str, list[int]] = {}

    def set(self, each: Round) -> str | None:
        """Keep an aggregate, or return the reason why there are no series for it."""
        slots = self._slots.get(each.key)
        if slots is None:
            if reason := self._quota.take(len(self._families)):
                return reason
            slots = self._slots[each.key] = [
                self._add(family, each.key) for family in self._families
            ]
        for family, slot, value in zip(self._families, slots, each.values, strict=True):
            family.values[slot] = value
        return None

    def show(self) -> None:
        """Have all series on the page from now on."""
        self.is_shown = True
        for slots in self._slots.values():
            for family, slot in zip(self._families, slots, strict=True):
                family.show(slot)

    def remove(self) -> None:
        """End all series."""
        for slots in self._slots.values():
            for family, slot in zip(self._families, slots, strict=True):
                family.remove(slot)
        self._quota.give_back(len(self._slots) * len(self._families))

    def _add(self, family: MetricFamily, key: str) -> int:
        slot = family.add(family.prefix(label_text((*self._labels, ("key", key)))))
        if not self.is_shown:
            family.hide(slot)
        return slot


class AggregateSeries:
    """Those of all pods."""

    def __init__(self) -> None:
        self.families = tuple(
            MetricFamily(name, "gauge", text) for name, text in AGGREGATES.items()
        )
        """In the order of the page."""
        self._runs: dict[Key, RunAggregates] = {}
        self._hidden: set[Key] = set()
        """Those that are not on the page yet."""

    def take(
        self, key: Key, rounds: Sequence[Round], holders: Collection[Holder], current: set[Holder]
    ) -> None:
        """Keep the newest aggregates of a run; `current` are the ranks without a backlog."""
        run = self._runs.get(key)
        if run is None:
            run = self._runs[key] = RunAggregates(self.families, key, holders)
            self._hidden.add(key)
        run.holders = set(holders)
        dropped: Counter[str] = Counter()
        for each in rounds:
            if reason := run.set(each):
                dropped[reason] += 1
        for reason, values in dropped.items():
            next(iter(holders)).dropped(reason, values)
        self._show_if_current(key, current)

    def caught_up(self, current: set[Holder]) -> None:
        """A rank has no backlog any more."""
        for key in list(self._hidden):
            self._show_if_current(key, current)

    def release(self, holder: Holder, current: set[Holder]) -> None:
        """A rank is gone: its backlog is waited for no more."""
        for key in list(self._hidden):
            self._runs[key].holders.discard(holder)
            self._show_if_current(key, current)

    def end(self, key: Key) -> None:
        """The run is over."""
        self._hidden.discard(key)
        if (run := self._runs.pop(key, None)) is not None:
            run.remove()

    def _show_if_current(self, key: Key, current: set[Holder]) -> None:
        if key in self._hidden and self._runs[key].holders <= current:
            self._hidden.discard(key)
            self._runs[key].show()
