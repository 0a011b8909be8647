# SPDX-License-Identifier: Apache-2.0
"""Which records of a rank are new, and how many log calls each of its runs has made.

The hook numbers the log calls of a run (`seq`), on from one segment and one process to the next:
the newest number is the count, whichever segments are left, and a line that is read again, from a
copy or after a rewrite, is known. Lines without a number are counted one by one.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from primus_lens_exporter.model.quota import Quota
from primus_lens_exporter.model.record import Record, is_sample

MOST = 1 << 53  # beyond it a number of the page is not exact; no training logs as often


class Numbered:
    """What one owner of files has logged to one run."""

    __slots__ = ("newest", "plain", "seq")

    def __init__(self) -> None:
        self.seq = 0
        """The number of its newest record."""
        self.plain = 0
        """Records without a number."""
        self.newest = -math.inf
        """Unix seconds of its newest record."""


class Sequences:
    """All runs of one rank."""

    def __init__(self, quota: Quota) -> None:
        """`quota`: how many runs of a tenant are remembered; a rank's newest one always is."""
        self._quota = quota
        self._used = 0
        self._runs: dict[str, dict[str, Numbered]] = {}

    def __iter__(self) -> Iterator[str]:
        return iter(self._runs)

    def logged(self, run_id: str) -> int:
        """Log calls of a run, by all owners together; asked by other threads too."""
        owners = list(self._runs.get(run_id, {}).values())
        return sum(each.seq + each.plain for each in owners)

    def newest(self, run_id: str) -> float:
        """Unix seconds of a run's newest record."""
        of_owners = self._runs.get(run_id, {}).values()
        return max((each.newest for each in of_owners), default=-math.inf)

    def fresh(self, owner: str, records: list[Record]) -> list[Record]:
        """Those that have not been there before; all are of files of one owner, in order."""
        first, last = records[0], records[-1]
        if first.seq is not None and first.run == last.run:
            known = self._known(owner, first.run)
            if first.seq == known.seq + 1 and last.seq == known.seq + len(records) < MOST:
                known.seq += len(records)
                known.newest = max(known.newest, last.timestamp)
                return records
        return [record for record in records if self.is_new(owner, record)]

    def is_new(self, owner: str, record: Record) -> bool:
        """Whether a record has not been there before; from then on it has."""
        if is_sample(record):
            return True
        known = self._known(owner, record.run)
        if record.seq is None or not 0 < record.seq < MOST:
            known.plain += 1
        # A lower number behind a newer time is no repetition: the directory was begun anew.
        elif record.seq > known.seq or record.timestamp > known.newest:
            known.seq = record.seq
        else:
            return False
        known.newest = max(known.newest, record.timestamp)
        return True

    def follows(self, owner: str, records: list[Record]) -> bool:
        """Whether none is missing between what was there and these; True if nothing tells."""
        first = next((record for record in records if record.seq is not None), None)
        if first is None or first.seq is None:
            return True
        known = self._runs.get(first.run, {}).get(owner)
        return first.seq <= (known.seq if known else 0) + 1

    def close(self) -> None:
        """Nothing is remembered any more."""
        self._quota.give_back(self._used)
        self._used = 0
        self._runs.clear()

    def _known(self, owner: str, run_id: str) -> Numbered:
        of_owners = self._runs.get(run_id)
        known = of_owners.get(owner) if of_owners else None
        if known is None:
            self._make_room()
            known = self._runs.setdefault(run_id, {})[owner] = Numbered()
        return known

    def _make_room(self) -> None:
        """For one more; the run that came first goes first."""
        while self._quota.take():
            if not self._runs:
                return
            forgotten = self._runs.pop(next(iter(self._runs)))
            self._quota.give_back(len(forgotten))
            self._used -= len(forgotten)
        self._used += 1
