# SPDX-License-Identifier: Apache-2.0
"""From records to samples with times, the same for remote write and for `backfill`.

The times of a series rise strictly, whatever the records say: see `model.sample`. Pure but for the
clock that tells what lies in the future.
"""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterator, Sequence
from operator import attrgetter

from primus_lens_hook import contract

from primus_lens_exporter.model.drops import KEY_RULES, KEYS_PER_RANK, LABEL_BYTES
from primus_lens_exporter.model.labels import Labels, clean, of_pod, without_empty
from primus_lens_exporter.model.record import Record, as_float, is_sample, not_finite
from primus_lens_exporter.model.rounds import AGGREGATES, Round
from primus_lens_exporter.model.sample import NEVER, Clock, Sample, Series
from primus_lens_exporter.model.series_rules import SeriesRules
from primus_lens_exporter.model.system_metrics import readings
from primus_lens_exporter.reading.consumer import SeriesHolder

METRIC = "primus_lens_wandb_metric"
STEP = "primus_lens_wandb_step"
NOT_FINITE = "primus_lens_wandb_not_finite_total"

# One sample from the far future would make a Prometheus refuse all samples of everybody
# until then. It takes scraped times up to ten minutes ahead; so do we.
AHEAD_SECONDS = 600.0
# What all ranks of a pod say is taken from one of them, until it has been silent for so long.
SILENT_MS = 15_000

# Why a number became no sample; a holder's quota has reasons of its own.
LATE, BAD_TIME, FUTURE = "late", "bad_time", "future"
DROPPED = (LATE, BAD_TIME, FUTURE, LABEL_BYTES, KEY_RULES, KEYS_PER_RANK)

_timestamp = attrgetter("timestamp")


Key = str | tuple[str, Labels] | None
"""As it was logged; None: the step; of anything else: name of the family, and labels."""


class Run:
    """The series of one run of one identity, or of the system that has it."""

    __slots__ = ("by_id", "counted", "holder", "keys", "labels", "used")

    def __init__(self, labels: Labels, holder: SeriesHolder) -> None:
        self.labels = labels
        self.holder = holder
        self.used = 1
        """Of the holder's quota."""
        self.keys: dict[Key, Series] = {}
        self.by_id: dict[bytes, Series] = {}
        self.counted: dict[Series, int] = {}
        """How often a key had a value that was NaN or infinite."""


class Rank:
    """Whoever has one identity: one directory as a rule."""

    __slots__ = ("holders", "runs")

    def __init__(self) -> None:
        self.holders: set[SeriesHolder] = set()
        self.runs: dict[str | None, Run] = {}
        """By the clean id; None: samples of the system."""


def in_order(records: list[Record]) -> list[Record]:
    """By time: threads of a training overtake each other between the clock and the file."""
    return sorted(records, key=_timestamp)  # nearly free when they are in order


class SampleBuilder:
    """Makes the samples of all ranks. `dropped` counts by reason what became none."""

    def __init__(
        self,
        identify: Callable[[str, Labels], bytes],
        rules: SeriesRules,
        added: Labels = (),
        clocks: dict[bytes, Clock] | None = None,
    ) -> None:
        """`identify` makes a series' id of its name and labels, none of them empty.

        `added` labels stand beside each identity, which wins; `clocks`, by id, are where an
        earlier process left off.
        """
        self.dropped: Counter[str] = Counter()
        self._identify = identify
        self._rules = rules
        self._added = added
        self._clocks = {} if clocks is None else clocks
        self._ranks: defaultdict[Labels, Rank] = defaultdict(Rank)

    def take(self, labels: Labels, records: list[Record], holder: SeriesHolder) -> list[Sample]:
        """The samples of these records, each later than its series' last one."""
        samples: list[Sample] = []
        ahead = (time.time() + AHEAD_SECONDS) * 1000
        for record in records:
            at = record.timestamp * 1000
            if not 0 <= at <= ahead:  # NaN is neither
                self.dropped[FUTURE if at > ahead else BAD_TIME] += _count(record)
                continue
            if record.sample and record.step is None:  # see `is_sample`; a call would cost
                samples += self._system(labels, record, holder, ahead)
                continue
            run = self._run(labels, clean(record.run), holder)
            if isinstance(run, str):
                self.dropped[run] += _count(record)
                continue
            at = round(at)
            for key, value in _values(record):
                series = run.keys.get(key) or self._new_series(run, key)
                if series is None:
                    continue
                if at > series.last:  # as `advance` does; a call for each value would cost
                    series.last = series.newest = at
                    samples.append((series, at, value))
                elif (moved := series.advance(at, ahead)) is None:
                    self.dropped[LATE] += 1
                else:
                    samples.append((series, moved, value))
            if keys := not_finite(record.data):
                samples += self._count_not_finite(run, keys, ahead)
        return samples

    def _count_not_finite(self, run: Run, keys: Sequence[str], ahead: float) -> Iterator[Sample]:
        """A sample of each key's counter, at the time of its value.

        Another process may have counted before: 0 comes first, so that a receiver sees the reset,
        and the first 1 is an increase.
        """
        for key in keys:
            value, name = run.keys.get(key), (NOT_FINITE, (("key", clean(key)),))
            if value is None:  # there is no room for it, or it is the hook's own
                continue
            series = run.keys.get(name) or self._add(run, name, name[0], run.labels + name[1])
            if series is None:
                continue
            known = run.counted.get(series)
            run.counted[series] = count = (known or 0) + 1
            for at, number in ((value.last - 1, 0), (value.last, count))[known is not None :]:
                if (moved := series.advance(at, ahead)) is None:
                    self.dropped[LATE] += 1
                else:
                    yield series, moved, float(number)

    def _system(
        self, labels: Labels, record: Record, holder: SeriesHolder, ahead: float
    ) -> Iterator[Sample]:
        """The samples of a sample of the system, but for what another rank says already."""
        at = round(record.timestamp * 1000)
        runs = self._run(of_pod(labels), None, holder), self._run(labels, None, holder)
        for reading in readings(record.data, self._rules.limits_label_bytes):
            run = runs[reading.measure.of_process]
            if isinstance(run, str):
                self.dropped[run] += 1
                continue
            series = self._labelled(run, reading.measure.metric, reading.labels)
            if series and (series.rank in {None, labels} or at > series.newest + SILENT_MS):
                series.rank = labels
                yield from self._moved(series, at, reading.value, ahead)

    def take_aggregates(
        self, labels: Labels, run_id: str, rounds: Sequence[Round], ranks: Collection[SeriesHolder]
    ) -> Iterator[Sample]:
        """The samples of aggregates over a pod's ranks."""
        ahead = (time.time() + AHEAD_SECONDS) * 1000
        run = self._run(labels, clean(run_id), next(iter(ranks)))
        if isinstance(run, str):
            self.dropped[run] += len(rounds) * len(AGGREGATES)
            return
        self._ranks[labels].holders.update(ranks)
        for each in rounds:
            own = without_empty((("key", clean(each.key)),))
            for name, value in zip(AGGREGATES, each.values, strict=True):
                if series := self._labelled(run, name, own):
                    yield from self._moved(series, round(each.at * 1000), value, ahead)

    def _moved(self, series: Series, at: int, value: float, ahead: float) -> Iterator[Sample]:
        """The sample at its own time or the next free one; none, counted, where that is wrong."""
        moved = series.advance(at, ahead) if at <= ahead else None
        if moved is None:
            self.dropped[FUTURE if at > ahead else LATE] += 1
        else:
            yield series, moved, value

    def end(self, labels: Labels, run_id: str) -> list[bytes]:
        """The run is over: forget its series; returns their ids."""
        rank = self._ranks.get(labels)
        run = rank.runs.pop(clean(run_id), None) if rank else None
        return _give_up(run) if run else []

    def release(self, holder: SeriesHolder) -> list[bytes]:
        """Forget the series of the ranks that nobody but `holder` held; returns their ids."""
        ids: list[bytes] = []
        for labels, rank in list(self._ranks.items()):
            rank.holders.discard(holder)
            if not rank.holders:
                del self._ranks[labels]
                for run in rank.runs.values():
                    ids += _give_up(run)
        return ids

    def _run(self, labels: Labels, run_id: str | None, holder: SeriesHolder) -> Run | str:
        """The run, or the reason why it gets none. `run_id` is clean; None: the system."""
        rank = self._ranks[labels]
        rank.holders.add(holder)
        run = rank.runs.get(run_id)
        if run is None:
            reason = self._rules.against_label(run_id or "") or holder.quota.take()
            if reason:
                return reason
            known = {name for name, _ in labels}
            added = (label for label in self._added if label[0] not in known)
            identity = (*added, *labels, ("run_id", run_id or ""))
            run = rank.runs[run_id] = Run(without_empty(identity), holder)
        return run

    def _new_series(self, run: Run, key: str | None) -> Series | None:
        """The series of a key that is new; None, counted, where it gets none. Ours are no keys."""
        if key is None:
            return self._add(run, key, STEP, run.labels)
        if key.startswith(contract.SAMPLE_PREFIX):
            return None
        if reason := self._reason_against(run, key):
            self.dropped[reason] += 1
            return None
        return self._add(run, key, METRIC, (*run.labels, ("key", clean(key))))

    def _reason_against(self, run: Run, key: str) -> str | None:
        logged = len(run.keys) - (None in run.keys) - len(run.counted)
        if logged >= self._rules.limits_keys_per_rank:
            return KEYS_PER_RANK
        return self._rules.against_key(key)

    def _labelled(self, run: Run, name: str, labels: Labels) -> Series | None:
        """The series of a name with labels of its own; None, counted, where it gets none."""
        key = name, labels
        return run.keys.get(key) or self._add(run, key, name, run.labels + labels)

    def _add(self, run: Run, key: Key, name: str, labels: Labels) -> Series | None:
        if reason := run.holder.quota.take():
            self.dropped[reason] += 1
            return None
        run.used += 1
        known = self._identify(name, without_empty(labels))
        series = run.by_id.get(known)  # two keys can be one when they are clean
        if series is None:
            series = run.by_id[known] = Series(known, self._clocks.pop(known, NEVER))
        run.keys[key] = series
        return series


def _values(record: Record) -> Iterator[tuple[str | None, float]]:
    """Key and number of each sample that the record stands for; None: the step."""
    if record.step is not None and not record.late:
        yield None, as_float(record.step) or 0.0
    for key, value in record.data.items():
        if type(value) is float:
            yield key, value
        elif key != contract.ROW_MARK and (number := as_float(value)) is not None:
            yield key, number


def _count(record: Record) -> int:
    """How many samples it would have made."""
    if is_sample(record):
        return sum(1 for _ in readings(record.data, 0))
    keys = (key for key, _ in _values(record))
    return sum(key is None or not key.startswith(contract.SAMPLE_PREFIX) for key in keys)


def _give_up(run: Run) -> list[bytes]:
    run.holder.quota.give_back(run.used)
    return list(run.by_id)
