# SPDX-License-Identifier: Apache-2.0
"""The newest samples of the system: one set of series for each pod, one for each rank.

All ranks of a pod say the same of it and of its GPUs, so these series are there once, as
long as any of those ranks is.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from typing import NamedTuple

from primus_lens_exporter.model.labels import Labels, label_text, of_pod
from primus_lens_exporter.model.quota import Quota
from primus_lens_exporter.model.record import Record
from primus_lens_exporter.model.system_metrics import MEASURES, Reading, readings
from primus_lens_exporter.reading.consumer import SeriesHolder
from primus_lens_exporter.series.metric_family import MetricFamily

LATE_SECONDS = 1.0  # a sample may be on its way while its run is finished


@dataclasses.dataclass(slots=True)
class Entry:
    """One series, and who said its value when."""

    slot: int
    labels: Labels
    at: float
    holder: SeriesHolder


class Group:
    """The series of one pod, or of one rank."""

    __slots__ = ("_entries", "_families", "_labels", "_quota", "holders")

    def __init__(self, families: dict[str, MetricFamily], labels: Labels, quota: Quota) -> None:
        self.holders: set[SeriesHolder] = set()
        self._families = families
        self._labels = label_text(labels)
        self._quota = quota
        self._entries: dict[tuple[str, str], Entry] = {}
        """By family and GPU."""

    def set(self, reading: Reading, at: float, holder: SeriesHolder) -> str | None:
        """Keep the value, or return the reason why there is no series for it."""
        metric = reading.measure.metric
        known = self._entries.get((metric, reading.gpu))
        if known is None:
            if reason := self._quota.take():
                return reason
            self._entries[metric, reading.gpu] = self._entry(reading, at, holder)
            return None
        if at < known.at and holder is not known.holder:  # another rank has said it since
            return None
        if known.labels != reading.labels:  # another GPU has its place
            self._families[metric].remove(known.slot)
            self._entries[metric, reading.gpu] = self._entry(reading, at, holder)
            return None
        self._families[metric].values[known.slot] = reading.value
        known.at, known.holder = at, holder
        return None

    def remove(self) -> None:
        """End all series."""
        for (metric, _), entry in self._entries.items():
            self._families[metric].remove(entry.slot)
        self._quota.give_back(len(self._entries))

    def _entry(self, reading: Reading, at: float, holder: SeriesHolder) -> Entry:
        family = self._families[reading.measure.metric]
        own = label_text(reading.labels)
        prefix = family.prefix(",".join(filter(None, (self._labels, own))))
        return Entry(family.add(prefix, value=reading.value), reading.labels, at, holder)


class Held(NamedTuple):
    """What one rank keeps alive."""

    groups: tuple[Labels, Labels]
    newest: float
    """Unix seconds of its newest sample."""


class SystemSeries:
    """The samples of all ranks."""

    def __init__(self, label_bytes: int) -> None:
        self.families: dict[str, MetricFamily] = {
            name: MetricFamily(name, measure.kind, measure.help)
            for name, measure in MEASURES.items()
        }
        self.all = tuple(self.families.values())
        """In the order of the page."""
        self._label_bytes = label_bytes
        self._groups: dict[Labels, Group] = {}
        self._held: dict[SeriesHolder, Held] = {}

    def take(self, labels: Labels, samples: list[Record], holder: SeriesHolder) -> None:
        """Keep the newest values of one rank's samples."""
        pod = of_pod(labels)
        groups = self._group(pod, holder), self._group(labels, holder)
        self._held[holder] = Held((pod, labels), samples[-1].timestamp)
        dropped: Counter[str] = Counter()
        for sample in samples:
            for reading in readings(sample.data, self._label_bytes):
                group = groups[reading.measure.of_process]
                if reason := group.set(reading, sample.timestamp, holder):
                    dropped[reason] += 1
        for reason, values in dropped.items():
            holder.dropped(reason, values)

    def end(self, finish: float, holder: SeriesHolder) -> bool:
        """A run was finished: what the rank said is over, unless it has sampled since.

        Returns whether it is.
        """
        held = self._held.get(holder)
        if held is None or held.newest > finish + LATE_SECONDS:
            return False
        return self.release(holder)

    def release(self, holder: SeriesHolder) -> bool:
        """Keep alive no more what the rank has said; returns whether it has said anything."""
        held = self._held.pop(holder, None)
        for labels in set(held.groups) if held else ():
            group = self._groups[labels]
            group.holders.discard(holder)
            if not group.holders:
                self._groups.pop(labels).remove()
        return held is not None

    def _group(self, labels: Labels, holder: SeriesHolder) -> Group:
        group = self._groups.get(labels)
        if group is None:
            group = self._groups[labels] = Group(self.families, labels, holder.quota)
        group.holders.add(holder)
        return group
