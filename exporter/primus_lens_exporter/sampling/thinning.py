# SPDX-License-Identifier: Apache-2.0
"""Which values of one rank are kept: the first one of a key in each window.

Windows are counted from a run's first record, or from the epoch, and not from a key's first value:
so every consumer keeps the same values, a restart moves no window, and a key that is logged once
in a window is never left out. Pure: no files, no clock.
"""

from __future__ import annotations

from primus_lens_exporter.model.quota import Quota
from primus_lens_exporter.model.record import Record
from primus_lens_exporter.reading.consumer import Holder
from primus_lens_exporter.reading.sequences import MOST
from primus_lens_exporter.sampling.rules import Rule, is_same


class RunWindows:
    """One run on one rank."""

    __slots__ = ("number", "used", "windows")

    def __init__(self) -> None:
        self.number = 0
        """Of its newest record."""
        self.used = 0
        """Of the quota."""
        self.windows: dict[str, int] = {}
        """By key, that of the newest value that was kept."""


class Thinning:
    """All runs of one rank. `quota` bounds the keys of runs that a pod's ranks remember.

    Of a key for which there is no room, all values are kept.
    """

    def __init__(self, quota: Quota, holder: Holder) -> None:
        self._holder = holder
        self._quota = quota
        self._runs: dict[str, RunWindows] = {}

    def begin(self, record: Record) -> RunWindows:
        """Number the next record of its run."""
        run = self._runs.get(record.run)
        if run is None:
            run = self._runs[record.run] = RunWindows()
            self._take_room(run)
        number = record.seq or 0
        # Without a number, or with that of a second process, it is one more.
        run.number = number if run.number < number < MOST else run.number + 1
        return run

    def keeps(self, run: RunWindows, key: str, rule: Rule, record: Record) -> bool:
        """Whether the key's value in the run's newest record is kept."""
        window, last = rule.window(run.number, record.timestamp), run.windows.get(key)
        if last is None:
            if self._take_room(run):
                run.windows[key] = window
            return True
        if is_same(window, last):
            return False
        run.windows[key] = window
        return True

    def end(self, run_id: str) -> None:
        """The run is over."""
        if (run := self._runs.pop(run_id, None)) is not None:
            self._quota.give_back(run.used)

    def close(self) -> None:
        """The rank is gone."""
        for run_id in list(self._runs):
            self.end(run_id)

    def _take_room(self, run: RunWindows) -> bool:
        """Take one of the quota; the rank's oldest other runs are forgotten for it."""
        while reason := self._quota.take():
            oldest = next(iter(self._runs))
            if self._runs[oldest] is run:
                self._holder.limited(reason)
                return False
            self.end(oldest)
        run.used += 1
        return True
