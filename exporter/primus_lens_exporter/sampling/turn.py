# SPDX-License-Identifier: Apache-2.0
"""One batch of records of one rank: which of their values are handed on."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import Any

import msgspec

from primus_lens_exporter.model.labels import Labels
from primus_lens_exporter.model.record import Record, as_float, is_sample
from primus_lens_exporter.model.rounds import Round
from primus_lens_exporter.reading.consumer import Holder
from primus_lens_exporter.sampling.alignment import AlignedKey, Mark
from primus_lens_exporter.sampling.first import Claim
from primus_lens_exporter.sampling.pod import KEYS, VALUES, Pod
from primus_lens_exporter.sampling.rules import AGGREGATE, BY_RANKS, FIRST, Rules
from primus_lens_exporter.sampling.thinning import RunWindows


class Turn:
    """Made for one batch; call `sampled` for each record, then `finish`."""

    def __init__(self, rules: Rules, pod: Pod, labels: Labels, holder: Holder, now: float) -> None:
        self.left_out: Counter[str] = Counter()
        """Values, by why."""
        self.taken_over: list[tuple[Claim, str]] = []
        """Who is not the first rank any more, for which key."""
        self._rules = rules
        self._pod = pod
        self._labels = labels
        self._holder = holder
        self._now = now
        self._thinning = pod.join(holder, now)
        self._rank = int(dict(labels)["local_rank"])
        self._aligned: defaultdict[str, dict[str, AlignedKey]] = defaultdict(dict)
        self._early: list[tuple[str, Round]] = []

    def sampled(self, record: Record) -> Record:
        """The record with the values that are kept; itself if those are all."""
        if is_sample(record) or not self._rules.hold_for(record.run):
            return record
        run = self._thinning.begin(record)
        left_out: dict[str, str] = {}
        for key, value in record.data.items():
            if reason := self._reason_against(run, record, key, value):
                left_out[key] = reason
        if not left_out:
            return record
        self.left_out.update(left_out.values())
        data = {key: value for key, value in record.data.items() if key not in left_out}
        return msgspec.structs.replace(record, data=data)

    def finish(self, records: list[Record]) -> Iterator[tuple[str, list[Round]]]:
        """The rounds that wait for nobody now, by run."""
        if records:
            newest = max(record.timestamp for record in records)
            self._pod.progress.took(self._holder, newest, self._now)
        for run_id, each in self._early:
            yield run_id, [each]
        for run_id, keys in self._aligned.items():
            yield run_id, list(self._pod.complete(keys, self._now))

    def _reason_against(self, run: RunWindows, record: Record, key: str, value: Any) -> str | None:
        """Why a value is left out; None where it is kept."""
        rule = self._rules.of(key)
        if rule is None or (number := as_float(value)) is None:
            return None
        if rule.ranks == AGGREGATE:
            mark = run.number if record.step is None else record.step
            return BY_RANKS if self._align(record, key, mark, number) else None
        if rule.ranks == FIRST and not self._is_first(key, record.run):
            return BY_RANKS
        if rule.thins and not self._thinning.keeps(run, key, rule, record):
            return rule.reason
        return None

    def _is_first(self, key: str, run_id: str) -> bool:
        claim = Claim(self._rank, self._labels, run_id, self._holder)
        is_first, before = self._pod.first.claim(key, claim)
        if before is not None:
            self.taken_over.append((before, key))
        return is_first

    def _align(self, record: Record, key: str, mark: Mark, number: float) -> bool:
        """Have a value wait for those of the other ranks; False where there is no room."""
        aligned = self._aligned.get(record.run, {}).get(key) or self._join(record.run, key)
        if aligned is None:
            return False
        bit = self._pod.progress.ranks[self._holder].bit
        aligned.add(self._holder, bit, mark, record.timestamp, number, self._now)
        while self._pod.waiting.used > 1 and aligned.cells:
            self._holder.limited(VALUES)
            self._early.append((record.run, aligned.oldest(key)))
        return True

    def _join(self, run_id: str, key: str) -> AlignedKey | None:
        """Have the rank's values of a key aggregated; None, counted, where there is no room."""
        aligned = self._pod.aligned(run_id, key, self._holder)
        if aligned is None:
            self._holder.limited(KEYS)
        else:
            self._aligned[run_id][key] = aligned
        return aligned
