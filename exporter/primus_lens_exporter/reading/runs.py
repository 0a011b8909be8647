# SPDX-License-Identifier: Apache-2.0
"""What a rank's `wandb_runs.json` tells of its runs, and when a run ends.

The series of one that ends while it is followed stay for a grace, so that their last values are
scraped, and then stop: a finished training must not look like one that hangs. One that had ended
longer ago when its files were found has none at all.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple, Protocol

from primus_lens_exporter.model.labels import Labels
from primus_lens_exporter.model.record import Record
from primus_lens_exporter.model.run_info import RunInfo
from primus_lens_exporter.reading.consumer import Consumer, Holder
from primus_lens_exporter.reading.sequences import Sequences
from primus_lens_exporter.reading.volume import Volume


class Rank(Holder, Protocol):
    """The rank whose runs they are."""

    volume: Volume
    sequences: Sequences
    is_current: bool


class End(NamedTuple):
    """The end of a run that is over."""

    finish: float
    """When it was finished, or logged last; Unix seconds."""

    at: float
    """When its series end, monotonic; infinite when they have ended."""


class Runs:
    """The runs of one rank, as its processes describe them, for one consumer."""

    def __init__(self, consumer: Consumer, rank: Rank, grace_seconds: float) -> None:
        self._consumer = consumer
        self._rank = rank
        self._grace = grace_seconds
        self._infos: Mapping[str, RunInfo] = {}
        self._waiting: set[str] = set()
        """Those that have something to tell."""
        self._added: Labels = ()
        self._ends: dict[str, End] = {}
        """Of the runs that are over."""
        self.next_end = math.inf
        """When there is next something to end; monotonic."""
        self._looked_for_older = False

    def take_over(self, infos: Mapping[str, RunInfo]) -> None:
        """What the files say now, by run id."""
        self._infos = infos
        self._waiting = set(infos)
        self._looked_for_older = False

    def close(self) -> None:
        """Nothing is kept any more."""
        self._infos = {}
        self._waiting.clear()
        self._ends.clear()
        self.next_end = math.inf

    def logged(self, labels: Labels, added: Callable[[], Labels], records: list[Record]) -> None:
        """Records were delivered: describe their runs, if that has waited for them."""
        if not (self._waiting or self._ends):
            return
        runs = {record.run for record in records}
        for run_id in self._waiting & runs:
            self._describe(labels, run_id, added())
        for run_id in self._ends.keys() & runs:
            finish, at = self._ends[run_id]
            # A copy that is under way, whose list of runs came before its records.
            if at == math.inf and self._rank.sequences.newest(run_id) <= finish:
                self._ends[run_id] = End(finish, 0.0)
                self.next_end = 0.0

    def update(self, labels: Labels, added: Labels, now: float) -> None:
        """Describe what is new and end what is over; `added` is what Kubernetes knows."""
        if added != self._added:
            self._added = added
            self._waiting = set(self._infos)
        for run_id in list(self._waiting):
            self._describe(labels, run_id, added)
        if self._rank.is_current:
            self._note_ends(now)
            self.end_due(labels, now)

    def caught_up(self, labels: Labels, now: float) -> None:
        """The backlog of the rank has been read: end what was over before."""
        self._note_ends(now)
        self.end_due(labels, now)

    def _describe(self, labels: Labels, run_id: str, added: Labels) -> None:
        info = self._infos[run_id]
        described = info._replace(labels={**info.labels, **dict(added)})
        if self._consumer.describe(labels, run_id, described, self._rank):
            self._waiting.discard(run_id)  # else it has not logged yet

    def _note_ends(self, now: float) -> None:
        """Note when the runs end that are over, and forget it of those that go on."""
        over = {run_id for run_id, info in self._infos.items() if info.over}
        over.update(self._older())
        self._ends = {run_id: self._end(run_id, now) for run_id in over}
        self._find_next_end()

    def _end(self, run_id: str, now: float) -> End:
        """The end that is known, unless the run has gone on since."""
        known, finish = self._ends.get(run_id), self._finish(run_id)
        return known if known and known.finish == finish else End(finish, now + self._left(finish))

    def _left(self, finish: float) -> float:
        """Seconds for which a run stays that is over."""
        if self._rank.is_current and not self._rank.volume.root.hold:
            return self._grace  # a network volume tells late: its last values are to be scraped too
        # By the clock of the training, which is this node's: a restart begins no new grace.
        return min(self._grace, finish + self._grace - time.time())

    def end_due(self, labels: Labels, now: float) -> None:
        """End what is over by now."""
        for run_id, (finish, at) in self._ends.items():
            if now >= at:
                self._ends[run_id] = End(finish, math.inf)
                self._consumer.end(labels, run_id, finish, self._rank)
        self._find_next_end()

    def _find_next_end(self) -> None:
        self.next_end = min((end.at for end in self._ends.values()), default=math.inf)

    def _older(self) -> Iterable[str]:
        """Runs that are no longer listed, since many have begun after them."""
        if self._looked_for_older or not self._infos:
            return [run_id for run_id in self._ends if run_id not in self._infos]
        self._looked_for_older = True
        newest, sequences = max(info.start for info in self._infos.values()), self._rank.sequences
        unlisted = (run_id for run_id in sequences if run_id not in self._infos)
        return [run_id for run_id in unlisted if sequences.newest(run_id) < newest]

    def _finish(self, run_id: str) -> float:
        """When a run that is over logged last, or was finished; Unix seconds."""
        info = self._infos.get(run_id)
        known = info.finish if info is not None else None
        return self._rank.sequences.newest(run_id) if known is None else known
