# SPDX-License-Identifier: Apache-2.0
"""Bounds timestamp skew between ranks during catch-up.

A Prometheus without `out_of_order_time_window` refuses whatever is an hour older than the
newest sample that it has of anybody. After a receiver was away over night, the first rank
to be read to its end would cost all others their night.
"""

from __future__ import annotations

import math
import time

from primus_lens_exporter.reading.consumer import Holder

ABREAST_MS = 300_000  # by so much a rank may be ahead of the last one that has more to read
FRESH_MS = 60_000  # what is newer than this is no backlog, and never waits
ASKING_SECONDS = 1.0  # who has not asked for so long has nothing more to read
# A rank whose clock is wrong is behind for ever. Ranks without progress are not waited for;
# progress is faster than any clock.
PATIENCE_SECONDS, PATIENCE_MS = 5.0, 60_000
LOOK_SECONDS = 0.1


class Pace:
    """Times called `now` are monotonic seconds; those of samples are milliseconds."""

    def __init__(self, now: float) -> None:
        self._all_asked_at = now + ASKING_SECONDS
        self._asked: dict[Holder, float] = {}
        self._newest: dict[Holder, int] = {}
        self._last = -math.inf
        """The newest sample of the rank that is furthest behind."""
        self._look_at = now
        self._waited_since = now
        self._waited_from = -math.inf

    def allows(self, holder: Holder, now: float) -> bool:
        """Whether the rank, which has more to read, may go on."""
        self._asked[holder] = now
        newest = self._newest.get(holder)
        if newest is None or time.time() * 1000 - newest < FRESH_MS:
            return True
        if now < self._all_asked_at:  # the others have not been heard yet
            return False
        if now >= self._look_at:
            self._look_at = now + LOOK_SECONDS
            self._look(now)
        return newest <= self._last + ABREAST_MS or now - self._waited_since > PATIENCE_SECONDS

    def advance(self, holder: Holder, newest: int) -> None:
        """Samples of the rank were taken."""
        self._newest[holder] = newest

    def release(self, holder: Holder) -> None:
        self._asked.pop(holder, None)
        self._newest.pop(holder, None)

    def _look(self, now: float) -> None:
        asking = (each for each, at in self._asked.items() if now - at < ASKING_SECONDS)
        self._last = min(self._newest.get(each, -math.inf) for each in asking)
        if self._last > self._waited_from + PATIENCE_MS or self._last < self._waited_from:
            self._waited_from, self._waited_since = self._last, now
