# SPDX-License-Identifier: Apache-2.0
"""The newest value of every series of every run. Pure: no files, no clock.

Each bound on the series of a rank, a pod and the node is kept here: what would exceed it
is not made, and its values are counted.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from itertools import groupby
from operator import attrgetter

from primus_lens_exporter.model.labels import Labels, cut, label_text
from primus_lens_exporter.model.record import Record, is_sample
from primus_lens_exporter.model.run_info import RunInfo
from primus_lens_exporter.model.series_rules import SeriesRules
from primus_lens_exporter.reading.consumer import Consumer, Holder
from primus_lens_exporter.series.metric_family import MetricFamily
from primus_lens_exporter.series.run_series import Families, RunSeries
from primus_lens_exporter.series.system_series import SystemSeries

Key = tuple[Labels, str]
"""One run on one rank: the labels that say who wrote, and the run's id."""


class Store(Consumer):
    """All series; `generation` changes whenever a page would."""

    def __init__(self, rules: SeriesRules) -> None:
        self.generation = 0
        self._families = Families(rules)
        self._system = SystemSeries(rules.limits_label_bytes)
        self._rules = rules
        self._runs: dict[Key, RunSeries] = {}
        self._held: defaultdict[Holder, set[Key]] = defaultdict(set)

    @property
    def families(self) -> tuple[MetricFamily, ...]:
        """In the order of the page."""
        return self._families.all + self._system.all

    @property
    def runs(self) -> Mapping[Key, RunSeries]:
        """Every run on every rank that is on the page."""
        return self._runs

    def __len__(self) -> int:
        return sum(len(family) for family in self.families)

    def take(
        self, labels: Labels, records: list[Record], file: str, offset: int, holder: Holder
    ) -> None:
        """Keep the newest values of a batch of one rank."""
        del file, offset
        self.generation += 1
        for run_id, group in groupby(records, attrgetter("run")):
            batch = list(group)
            run = self._run(labels, run_id, holder, batch)
            samples = run.take(batch, holder) if run else list(filter(is_sample, batch))
            if samples:
                self._system.take(labels, samples, holder)

    def describe(self, labels: Labels, run_id: str, info: RunInfo, holder: Holder) -> bool:
        run = self._runs.get((labels, run_id))
        if run is None:
            if info.finish is not None:  # it has sampled at most
                self.generation += self._system.end(info.finish, holder)
            return False
        self.generation += 1
        known = {
            name: cut(value, self._rules.limits_label_bytes) for name, value in info.labels.items()
        }
        run.describe(info._replace(labels=known), holder)
        return True

    def end(self, labels: Labels, run_id: str, finish: float, holder: Holder) -> None:
        run = self._runs.get((labels, run_id))
        if run is not None and run.newest <= finish and run.holders == {holder}:
            self._held[holder].discard((labels, run_id))
            self._remove((labels, run_id))
        self.generation += self._system.end(finish, holder)

    def release(self, holder: Holder) -> None:
        self.generation += self._system.release(holder)
        for key in self._held.pop(holder, ()):
            if (run := self._runs.get(key)) is not None:
                run.holders.discard(holder)
                if not run.holders:
                    self._remove(key)

    def parts(self) -> Iterator[bytes]:
        """All families in the text format, version 0.0.4, piece by piece.

        Nothing may change before the last one is taken.
        """
        for family in self.families:
            yield from family.parts()

    def _remove(self, key: Key) -> None:
        self.generation += 1
        self._runs.pop(key).remove()

    def _run(
        self, labels: Labels, run_id: str, holder: Holder, records: list[Record]
    ) -> RunSeries | None:
        """None where there is no room, or no log call yet."""
        run = self._runs.get((labels, run_id))
        if run is None:
            logged = sum(not is_sample(record) for record in records)
            if not logged:
                return None
            reason = self._rules.against_label(run_id) or holder.quota.take(RunSeries.BASE)
            if reason is not None:
                holder.dropped(reason, logged)
                return None
            text = label_text((*labels, ("run_id", run_id)))
            run = self._runs[labels, run_id] = RunSeries(self._families, text, holder)
        run.holders.add(holder)
        self._held[holder].add((labels, run_id))
        return run
