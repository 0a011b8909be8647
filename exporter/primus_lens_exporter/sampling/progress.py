# SPDX-License-Identifier: Apache-2.0
"""How far the ranks of a pod have been read, and for whom an aggregate has to wait.

Ranks are read one after the other, each a piece of its file at a time: without waiting, an
aggregate of a backlog would be one of a single rank. Nobody is waited for without end.
Times called `now` are monotonic; those of records are Unix seconds.
"""

from __future__ import annotations

import math

from primus_lens_exporter.reading.consumer import Holder

START_SECONDS = 5.0  # until every rank of a pod that is found has had its turn
SLACK_SECONDS = 5.0  # by so much ranks may log the same step at different times
IDLE_SECONDS = 5.0  # who has not asked for so long has nothing more to read
CROWDED = 0.5  # of the room for values that wait
MOST_RANKS = 256  # of a pod; each round looks at all of them
PATIENCE_SECONDS = 30.0  # for a rank that is read, and never gets there: its clock is wrong


class RankProgress:
    """One rank."""

    __slots__ = ("asked_at", "bit", "read_to", "taken_at")

    def __init__(self, bit: int, now: float) -> None:
        self.bit = bit
        """No other rank of the pod has it."""
        self.asked_at = self.taken_at = now
        self.read_to = -math.inf
        """Time of its newest record."""

    def passed(self, at: float, since: float, now: float) -> bool:
        """Whether no value at the time `at` is to be expected of it.

        `since` is when the first value of another rank came.
        """
        return (
            self.read_to > at + SLACK_SECONDS
            or self.taken_at - since > PATIENCE_SECONDS
            or now - max(self.asked_at, since) > IDLE_SECONDS
        )


class Progress:
    """The ranks of one pod."""

    def __init__(self, now: float) -> None:
        self.ranks: dict[Holder, RankProgress] = {}
        self._began = now
        self._bits = 0
        """Of all ranks."""

    def may_emit(self, now: float) -> bool:
        """Whether all ranks are known that were there in the beginning."""
        return now - self._began >= START_SECONDS

    def join(self, holder: Holder, now: float) -> None:
        """One rank more, if there are not too many."""
        if len(self.ranks) < MOST_RANKS:
            bit = ~self._bits & (self._bits + 1)  # the lowest that is free
            self._bits |= bit
            self.ranks[holder] = RankProgress(bit, now)

    def leave(self, holder: Holder) -> int:
        """A rank is gone; returns its bit, 0 if it was none of those."""
        rank = self.ranks.pop(holder, None)
        bit = 0 if rank is None else rank.bit
        self._bits &= ~bit
        return bit

    def asks(self, holder: Holder, now: float, *, used: float) -> bool:
        """Whether a rank may be read further; `used` is the part of the room for what waits.

        Whoever is ahead waits when its own part is used, and then all but the last one do.
        """
        rank = self.ranks.get(holder)
        if rank is None:
            return True
        rank.asked_at = now
        if used * (1 + len(self.ranks)) < 1:
            return True
        if used < CROWDED and any(each.read_to > rank.read_to for each in self.ranks.values()):
            return True
        return self.may_emit(now) and not any(
            each.read_to < rank.read_to and now - each.asked_at < IDLE_SECONDS
            for each in self.ranks.values()
        )

    def took(self, holder: Holder, newest: float, now: float) -> None:
        """Records of a rank were taken, up to this time."""
        rank = self.ranks.get(holder)
        if rank is not None:
            rank.asked_at = rank.taken_at = now
            rank.read_to = max(rank.read_to, newest)
