# SPDX-License-Identifier: Apache-2.0
"""What sampling remembers of the ranks of one pod; all of it is bounded, and goes with them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from primus_lens_exporter.model.quota import Quota
from primus_lens_exporter.model.rounds import Round
from primus_lens_exporter.reading.consumer import Holder
from primus_lens_exporter.sampling.alignment import AlignedKey, Waiting
from primus_lens_exporter.sampling.first import FirstRanks
from primus_lens_exporter.sampling.progress import Progress
from primus_lens_exporter.sampling.thinning import Thinning

VALUES, KEYS = "waiting_values_per_pod", "sampled_keys_per_pod"


class PodRun:
    """The aggregates of one run."""

    __slots__ = ("holders", "keys")

    def __init__(self) -> None:
        self.holders: set[Holder] = set()
        """The ranks that have logged an aggregated key to it."""
        self.keys: dict[str, AlignedKey] = {}


class Pod:
    """The ranks of one pod, its runs, and the keys of which one rank is the first."""

    def __init__(self, keys: int, values: int, now: float) -> None:
        """At most so many keys are remembered, and so many values wait."""
        self.progress = Progress(now)
        self.thinning: dict[Holder, Thinning] = {}
        self.runs: dict[str, PodRun] = {}
        self.waiting = Waiting(values)
        self._quota = Quota(keys, KEYS)
        self.first = FirstRanks(self._quota)

    def join(self, holder: Holder, now: float) -> Thinning:
        """A rank of it has logged; returns what is kept of it."""
        thinning = self.thinning.get(holder)
        if thinning is None:
            thinning = self.thinning[holder] = Thinning(self._quota, holder)
            self.progress.join(holder, now)
        return thinning

    def aligned(self, run_id: str, key: str, holder: Holder) -> AlignedKey | None:
        """A key that is aggregated, from now on too; None where there is no room for it."""
        if holder not in self.progress.ranks:
            return None
        run = self.runs.get(run_id) or PodRun()
        aligned = run.keys.get(key)
        if aligned is None:
            if self._quota.take():
                return None
            self.runs[run_id] = run
            aligned = run.keys[key] = AlignedKey(self.waiting)
        run.holders.add(holder)
        return aligned

    def complete(self, keys: Mapping[str, AlignedKey], now: float) -> Iterator[Round]:
        """The rounds of these keys that wait for nobody."""
        if not self.progress.may_emit(now):
            return
        for key, aligned in keys.items():
            yield from aligned.complete(key, self.progress, now)

    def rest(self, run_id: str) -> Iterator[Round]:
        """All rounds of a run as they are, since it is over; nothing is kept of it."""
        run = self.runs.pop(run_id)
        self._quota.give_back(len(run.keys))
        for key, aligned in run.keys.items():
            while aligned.cells:
                yield aligned.oldest(key)

    def leave_run(self, holder: Holder, run_id: str) -> None:
        """A rank's run is over."""
        self.first.end_run(holder, run_id)
        self.thinning[holder].end(run_id)

    def leave(self, holder: Holder) -> None:
        """A rank is gone."""
        self.first.release(holder)
        self.thinning.pop(holder).close()
        if bit := self.progress.leave(holder):
            for run in self.runs.values():
                for aligned in run.keys.values():
                    aligned.leave(bit)
