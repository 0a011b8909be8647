# SPDX-License-Identifier: Apache-2.0
"""The series of one run on one rank.

The series that every run has are made with it. Another without a key is made by `_put` when it
first has a value. `remove` ends all of them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from functools import partial
from typing import Any

from primus_lens_hook import contract

from primus_lens_exporter.model.drops import KEY_RULES, KEYS_PER_RANK
from primus_lens_exporter.model.labels import label_text
from primus_lens_exporter.model.loss import LOSS
from primus_lens_exporter.model.record import Record, as_float, is_sample
from primus_lens_exporter.model.run_info import RunInfo
from primus_lens_exporter.reading.consumer import Holder
from primus_lens_exporter.series.families import Families
from primus_lens_exporter.series.metric_family import MetricFamily
from primus_lens_exporter.series.not_finite import NO_SLOT, NotFinite
from primus_lens_exporter.series.recent_history import RecentHistory

UNKNOWN = RunInfo({}, {})


class RunSeries:
    """Makes series as they are needed, as far as the quota goes."""

    BASE = 2  # the series that every run has

    __slots__ = (
        "_described", "_families", "_history_quota", "_keys", "_labels", "_loss_keys",
        "_metric_prefix", "_not_finite", "_own", "_unwanted", "history", "holders", "info",
        "is_shown", "quota",
    )  # fmt: skip

    def __init__(self, families: Families, labels: str, holder: Holder, *, is_shown: bool) -> None:
        """The holder's quota has been asked for BASE series already."""
        self.is_shown = is_shown
        """Whether its series are on the page."""
        self.holders: set[Holder] = {holder}
        self.quota = holder.quota
        """Its tenant's: what its series are taken from."""
        self.info = UNKNOWN
        """What W&B and Kubernetes know of it."""
        self.history: RecentHistory | None = None
        """Its recent past; None where its tenant has many runs."""
        self._history_quota = holder.history_quota
        if reason := self._history_quota.take():
            holder.limited(reason)
        else:
            self.history = RecentHistory()
        self._families = families
        self._labels = labels
        self._metric_prefix = families.metric.prefix(labels)
        self._keys: dict[str, int] = {}
        self._not_finite = NotFinite(families, labels)
        self._loss_keys: list[str] = []
        self._unwanted: set[str] = set()
        self._described = ""
        self._own: dict[MetricFamily, int] = {
            family: self._add(family, family.prefix(labels))
            for family in (families.records, families.timestamp)
        }
        """The series that have no key, at most one of each family."""

    @property
    def newest(self) -> float:
        """Unix seconds of the newest record."""
        return self._value(self._families.timestamp) or 0.0

    @property
    def over(self) -> bool:
        """Whether it has ended, and has not gone on since."""
        finish = self.info.finish
        return self.info.over and (finish is None or self.newest <= finish)

    @property
    def step(self) -> float | None:
        """That of the newest row that was not late; None while there is none."""
        return self._value(self._families.step)

    @property
    def records(self) -> int:
        """Log calls, by their numbers."""
        return int(self._value(self._families.records) or 0)

    @property
    def key_count(self) -> int:
        """How many keys have a series."""
        return len(self._keys)

    def values(self) -> Iterator[tuple[str, float]]:
        """Each key with its newest value, in the order in which they came."""
        values = self._families.metric.values
        return ((key, values[slot]) for key, slot in self._keys.items())

    @property
    def losses(self) -> dict[str, float]:
        """The newest value of each key that is a loss, in the order in which they came."""
        values = self._families.metric.values
        return {key: values[self._keys[key]] for key in self._loss_keys}

    def take(self, records: list[Record], holder: Holder) -> list[Record]:
        """Keep the newest value of each key; count the rest. Returns what is a sample."""
        newest, step, samples = _merged(records)
        if samples:
            records = [record for record in records if not is_sample(record)]
        dropped: defaultdict[str, int] = defaultdict(int)
        if records:
            timestamp = self._families.timestamp
            timestamp.values[self._own[timestamp]] = records[-1].timestamp
        if step is not None:
            self._put(self._families.step, as_float(step) or 0.0, dropped)
        self._set(newest, dropped)
        if records:
            self._count(records)
            if records[-1].timestamp > self._families.since:
                self._not_finite.take(records, self._keys, partial(self._new, dropped))
        for reason, values in dropped.items():
            holder.dropped(reason, values)
        return samples

    def describe(self, info: RunInfo, holder: Holder) -> None:
        """Replace the run's info series if it says something new; take the counters over."""
        dropped: defaultdict[str, int] = defaultdict(int)
        self.info = info
        self._describe(info, dropped)
        for name, family in self._families.step_fix.items() if info.step_fix else ():
            self._put(family, as_float(info.step_fix.get(name, 0)) or 0.0, dropped)
        for reason, values in dropped.items():
            holder.dropped(reason, values)

    def leave_out(self, key: str) -> None:
        """End the series of a key; a later value makes them anew."""
        families = self._families
        slot = self._keys.pop(key, None)
        if slot is None:
            return
        families.metric.remove(slot)
        families.key_cache.give_back(key)
        self.quota.give_back(1 + self._not_finite.leave_out(key))
        named = families.named.get(key)
        if named is not None and (slot := self._own.pop(named, None)) is not None:
            named.remove(slot)
            self.quota.give_back(1)
        if key in self._loss_keys:
            self._loss_keys.remove(key)
            if self.history is not None:
                self.history.losses.pop(key, None)

    def show(self) -> None:
        """Have all series on the page from now on."""
        self.is_shown = True
        for family, slot in self._own.items():
            family.show(slot)
        for slot in self._keys.values():
            self._families.metric.show(slot)
        self._not_finite.show()

    def remove(self) -> None:
        """End all series."""
        families = self._families
        for family, slot in self._own.items():
            family.remove(slot)
        for key, slot in self._keys.items():
            families.metric.remove(slot)
            families.key_cache.give_back(key)
        self.quota.give_back(len(self._own) + len(self._keys) + len(self._not_finite))
        self._not_finite.remove()
        if self.history is not None:
            self._history_quota.give_back(1)

    def _count(self, records: list[Record]) -> None:
        """Log calls were read, and their values are set."""
        families, end = self._families, records[-1].timestamp
        logged = float(sum(each.logged(records[-1].run) for each in self.holders))
        families.records.values[self._own[families.records]] = logged
        if self.history is not None and end >= self.history.due:
            self.history.take(records, self.step, self.losses)

    def _value(self, family: MetricFamily) -> float | None:
        slot = self._own.get(family)
        return None if slot is None else family.values[slot]

    def _put(self, family: MetricFamily, value: float, dropped: defaultdict[str, int]) -> None:
        """Set a series that has no key; where there is no room for it, count that."""
        slot = self._own.get(family)
        if slot is None:
            slot = self._new(dropped, family, family.prefix(self._labels), b"} ")
            if slot == NO_SLOT:
                return
            self._own[family] = slot
        family.values[slot] = value

    def _new(
        self, dropped: defaultdict[str, int], family: MetricFamily, prefix: bytes, suffix: bytes
    ) -> int:
        """A new series; NO_SLOT, counted, where there is no room for it."""
        if reason := self._reason_against_series():
            dropped[reason] += 1
            return NO_SLOT
        return self._add(family, prefix, suffix)

    def _reason_against_series(self) -> str | None:
        """Take one of the quota, or return the reason why there is none."""
        reason = self.quota.take()
        if reason is not None and self._families.make_room(self.quota, self.newest):
            reason = self.quota.take()
        return reason

    def _add(
        self, family: MetricFamily, prefix: bytes, suffix: bytes = b"} ", value: float = 0.0
    ) -> int:
        slot = family.add(prefix, suffix, value)
        if not self.is_shown:
            family.hide(slot)
        return slot

    def _set(self, newest: dict[str, Any], dropped: defaultdict[str, int]) -> None:
        keys, values = self._keys, self._families.metric.values
        for key, value in newest.items():
            number = value if type(value) is float else as_float(value)
            if number is None:
                continue
            slot = keys.get(key)
            if slot is None:
                slot = self._new_key(key, dropped)
            if slot != NO_SLOT:
                values[slot] = number
        for key, family in self._families.named.items():
            if key in keys and (number := as_float(newest.get(key))) is not None:
                self._put(family, number * self._families.rules.named[key].scale, dropped)

    def _new_key(self, key: str, dropped: defaultdict[str, int]) -> int:
        families = self._families
        if key.startswith(contract.SAMPLE_PREFIX):  # of the newest sample, which has series
            return NO_SLOT
        reason = self._reason_against(key) or self._reason_against_series()
        if reason is not None:
            dropped[reason] += 1
            return NO_SLOT
        key, suffix = families.key_cache.take(key)
        slot = self._keys[key] = self._add(families.metric, self._metric_prefix, suffix)
        if LOSS.fullmatch(key):
            self._loss_keys.append(key)
            if self.history is not None:
                self.history.add_loss(key)
        return slot

    def _reason_against(self, key: str) -> str | None:
        if key in self._unwanted:
            return KEY_RULES
        rules = self._families.rules
        if len(self._keys) >= rules.limits_keys_per_rank:
            return KEYS_PER_RANK
        reason = rules.against_key(key)
        if reason == KEY_RULES and len(self._unwanted) < rules.limits_keys_per_rank:
            self._unwanted.add(key)  # so as not to match it again
        return reason

    def _describe(self, info: RunInfo, dropped: defaultdict[str, int]) -> None:
        family = self._families.info
        known = label_text(info.labels.items())
        labels = f"{self._labels},{known}" if known else self._labels
        if labels == self._described:
            return
        if (slot := self._own.pop(family, None)) is not None:
            family.remove(slot)
        elif reason := self._reason_against_series():
            dropped[reason] += 1
            return
        self._described = labels
        self._own[family] = self._add(family, family.prefix(labels), value=1.0)


def _merged(records: list[Record]) -> tuple[dict[str, Any], float | None, list[Record]]:
    """The newest value of each key, the newest step that was not late, and what is a sample."""
    newest: dict[str, Any] = {}
    samples: list[Record] = []
    step = None
    for record in records:
        if record.step is not None:
            if not record.late:
                step = record.step
        elif record.sample:  # asked last: log calls have a step as a rule
            samples.append(record)
            continue
        newest.update(record.data)
    newest.pop(contract.ROW_MARK, None)
    return newest, step, samples
