# SPDX-License-Identifier: Apache-2.0
"""The newest value of every series of every run. Pure: no files, no clock.

Each bound on the series of a rank, a pod and the node is kept here: what would exceed it
is not made, and its values are counted. A rank has none before its backlog has been read: a value
that was the newest an hour ago must never be on the page.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import groupby
from operator import attrgetter, itemgetter

from primus_lens_exporter.model.labels import Labels, cut, label_text
from primus_lens_exporter.model.quota import Quota
from primus_lens_exporter.model.record import Record, is_sample
from primus_lens_exporter.model.rounds import Round
from primus_lens_exporter.model.run_info import RunInfo
from primus_lens_exporter.model.series_rules import SeriesRules
from primus_lens_exporter.reading.consumer import Consumer, Holder
from primus_lens_exporter.series.aggregate_series import AggregateSeries
from primus_lens_exporter.series.families import Families
from primus_lens_exporter.series.metric_family import MetricFamily
from primus_lens_exporter.series.run_series import UNKNOWN, RunSeries
from primus_lens_exporter.series.system_series import LATE_SECONDS, SystemSeries

Key = tuple[Labels, str]
"""One run on one rank: the labels that say who wrote, and the run's id."""

IDLE_SECONDS = 60.0  # then a run may be ended where another one needs its place
OLD_PART = 4  # of the old ones, one in so many at a time


class Store(Consumer):
    """All series; `generation` changes whenever a page would."""

    def __init__(self, rules: SeriesRules, since: float = 0.0) -> None:
        """`since`, in Unix seconds: values that are not finite are counted from then on."""
        self.generation = 0
        self.runs: dict[Key, RunSeries] = {}
        """Every run on every rank that is on the page."""
        self._families = Families(rules, self._make_room, since)
        self._system = SystemSeries(rules.limits_label_bytes)
        self._aggregates = AggregateSeries()
        self._rules = rules
        self._all: dict[Key, RunSeries] = {}
        """Those too of ranks whose backlog is being read."""
        self._held: defaultdict[Holder, set[Key]] = defaultdict(set)
        self._current: set[Holder] = set()
        """The ranks whose backlog has been read."""
        self._last_samples: dict[Holder, tuple[Labels, Record]] = {}
        """Of the system, of the others."""
        self._crowded: defaultdict[Quota, int] = defaultdict(int)
        """How many asks for room are refused before a tenant's runs are looked through again."""

    @property
    def families(self) -> tuple[MetricFamily, ...]:
        """In the order of the page."""
        return self._families.all + self._aggregates.families + self._system.all

    def __len__(self) -> int:
        return sum(len(family) for family in self.families)

    def take(
        self, labels: Labels, records: list[Record], positions: Mapping[str, int], holder: Holder
    ) -> None:
        """Keep the newest values of a batch of one rank."""
        del positions
        self.generation += 1
        for run_id, group in groupby(records, attrgetter("run")):
            batch = list(group)
            run = self._run(labels, run_id, holder, batch)
            samples = run.take(batch, holder) if run else list(filter(is_sample, batch))
            if not samples:
                continue
            if holder in self._current:
                self._system.take(labels, samples, holder)
            else:
                self._last_samples[holder] = labels, samples[-1]

    def take_aggregates(
        self, labels: Labels, run_id: str, rounds: Sequence[Round], holders: Collection[Holder]
    ) -> None:
        self.generation += 1
        self._aggregates.take((labels, run_id), rounds, holders, self._current)

    def end_aggregates(self, labels: Labels, run_id: str) -> None:
        self.generation += 1
        self._aggregates.end((labels, run_id))

    def leave_out(self, labels: Labels, run_id: str, key: str) -> None:
        if (run := self._all.get((labels, run_id))) is not None:
            self.generation += 1
            run.leave_out(key)

    def caught_up(self, holder: Holder) -> None:
        """Have the rank's series on the page from now on."""
        self.generation += 1
        self._current.add(holder)
        self._aggregates.caught_up(self._current)
        for key in self._held[holder]:
            run = self._all[key]
            if not run.is_shown:
                run.show()
                self.runs[key] = run
        if last := self._last_samples.pop(holder, None):
            labels, sample = last
            self._system.take(labels, [sample], holder)

    def describe(self, labels: Labels, run_id: str, info: RunInfo, holder: Holder) -> bool:
        run = self._all.get((labels, run_id))
        if run is None:
            if info.finish is not None:  # it has sampled at most
                self._end_samples(info.finish, holder)
            return False
        self.generation += 1
        known = {
            name: cut(value, self._rules.limits_label_bytes) for name, value in info.labels.items()
        }
        run.describe(info._replace(labels=known), holder)
        return True

    def end(self, labels: Labels, run_id: str, finish: float, holder: Holder) -> None:
        run = self._all.get((labels, run_id))
        if run is not None and run.holders == {holder}:
            self._remove((labels, run_id))
        self._end_samples(finish, holder)

    def release(self, holder: Holder) -> None:
        self._current.discard(holder)
        self._last_samples.pop(holder, None)
        self.generation += self._system.release(holder)
        self._aggregates.release(holder, self._current)
        for key in self._held.pop(holder, ()):
            run = self._all[key]
            run.holders.discard(holder)
            if not run.holders:
                self._remove(key)

    def parts(self) -> Iterator[bytes]:
        """All families in the text format, version 0.0.4, piece by piece.

        Nothing may change before the last one is taken.
        """
        for family in self.families:
            yield from family.parts()

    def _end_samples(self, finish: float, holder: Holder) -> None:
        """What the rank has said of the system is over, unless it has sampled since."""
        last = self._last_samples.get(holder)
        if last and last[1].timestamp <= finish + LATE_SECONDS:
            del self._last_samples[holder]
        self.generation += self._system.end(finish, holder)

    def _remove(self, key: Key) -> None:
        self.generation += 1
        self.runs.pop(key, None)
        run = self._all.pop(key)
        for holder in run.holders:
            self._held[holder].discard(key)
        run.remove()

    def _run(
        self, labels: Labels, run_id: str, holder: Holder, records: list[Record]
    ) -> RunSeries | None:
        """None where there is no room, or no log call yet."""
        run = self._all.get((labels, run_id))
        if run is None:
            logged = sum(not is_sample(record) for record in records)
            if not logged:
                return None
            reason = self._rules.against_label(run_id) or self._reason_against_run(holder, records)
            if reason is not None:
                holder.dropped(reason, logged)
                return None
            run = self._begin((labels, run_id), holder)
        elif holder not in run.holders:
            holder.also_written({each.path for each in run.holders})
        run.holders.add(holder)
        self._held[holder].add((labels, run_id))
        return run

    def _begin(self, key: Key, holder: Holder) -> RunSeries:
        text, is_shown = label_text((*key[0], ("run_id", key[1]))), holder in self._current
        run = self._all[key] = RunSeries(self._families, text, holder, is_shown=is_shown)
        if is_shown:
            self.runs[key] = run
        return run

    def _reason_against_run(self, holder: Holder, records: list[Record]) -> str | None:
        """Take the series that every run has, or return the reason why there are none."""
        reason = holder.quota.take(RunSeries.BASE)
        if reason is not None and self._make_room(holder.quota, records[-1].timestamp):
            reason = holder.quota.take(RunSeries.BASE)
        return reason

    def _make_room(self, quota: Quota, at: float) -> bool:
        """End the oldest runs of a tenant; `at` is when the one logs that needs room.

        What is over goes, and what has been idle: a limit must never cost the newest run.
        """
        if self._crowded[quota] > 0:
            self._crowded[quota] -= 1
            return False
        own = [each for each in self._all.items() if each[1].quota is quota]
        old = [(run.newest, key) for key, run in own if _is_old(run, at)]
        if not old:
            self._crowded[quota] = len(own)  # so that to look through them all costs each one turn
            return False
        for _, key in sorted(old, key=itemgetter(0))[: max(1, len(old) // OLD_PART)]:
            self._remove(key)
        return True


def _is_old(run: RunSeries, at: float) -> bool:
    """Whether a run may go for one that logs at `at`."""
    # Of a backlog, one that is not listed any more: the hook lists the newest.
    unlisted = not run.is_shown and run.info is UNKNOWN
    return run.newest < at and (run.over or unlisted or run.newest < at - IDLE_SECONDS)
