# SPDX-License-Identifier: Apache-2.0
"""Which rank of a pod is the first that logs a key: the lowest one.

A lower rank that comes later takes over, and whoever was first before has to be silent. Pure.
"""

from __future__ import annotations

from collections import defaultdict
from typing import NamedTuple

from primus_lens_exporter.model.labels import Labels
from primus_lens_exporter.model.quota import Quota
from primus_lens_exporter.reading.consumer import Holder


class Claim(NamedTuple):
    """Who is the first one for a key."""

    number: int
    labels: Labels
    run_id: str
    holder: Holder


class FirstRanks:
    """The claims of one pod's ranks, within a quota; further keys are everybody's."""

    def __init__(self, quota: Quota) -> None:
        self._quota = quota
        self._claims: dict[str, Claim] = {}
        self._keys: defaultdict[Holder, defaultdict[str, set[str]]]
        self._keys = defaultdict(lambda: defaultdict(set))
        """By rank and run, the keys for which it is the first."""

    def claim(self, key: str, wanted: Claim) -> tuple[bool, Claim | None]:
        """Whether the rank is the first, and whose place it has taken by that."""
        known = self._claims.get(key)
        if known is None and (reason := self._quota.take()):
            wanted.holder.limited(reason)
            return True, None
        if known is not None:
            if known.number < wanted.number:
                return False, None
            self._move_from(known, key)
        self._claims[key] = wanted
        self._keys[wanted.holder][wanted.run_id].add(key)
        taken_over = known is not None and known.number > wanted.number
        return True, known if taken_over else None

    def end_run(self, holder: Holder, run_id: str) -> None:
        """A rank's run is over: others may be first."""
        if holder in self._keys:
            self._give_up(self._keys[holder].pop(run_id, set()))

    def release(self, holder: Holder) -> None:
        """A rank is gone."""
        for keys in self._keys.pop(holder, {}).values():
            self._give_up(keys)

    def _move_from(self, claim: Claim, key: str) -> None:
        """A key is another one's; runs without keys, of which there may be millions, are gone."""
        runs = self._keys[claim.holder]
        runs[claim.run_id].discard(key)
        if not runs[claim.run_id]:
            del runs[claim.run_id]
        if not runs:
            del self._keys[claim.holder]

    def _give_up(self, keys: set[str]) -> None:
        self._quota.give_back(len(keys))
        for key in keys:
            del self._claims[key]
