# SPDX-License-Identifier: Apache-2.0
"""A sample, and its series, whose times rise strictly whatever the records say.

Prometheus keeps one value for each series and millisecond, takes no time that is not newer than
the series' last one, and refuses a whole request for a single sample that breaks this.
"""

from __future__ import annotations

from primus_lens_exporter.model.labels import Labels

LATE_MS = 1000  # by so much may a record be older than its series' newest one

Clock = tuple[int, int]
"""Where the times of a series stand, in milliseconds: that of its newest sample, and the
newest that a record said, which is less where records came at equal times."""

NEVER = (-1, -1)


class Series:
    """One series. `id` is what `SampleBuilder` was told to make of its name and labels."""

    __slots__ = ("id", "last", "newest", "rank")

    def __init__(self, id: bytes, clock: Clock) -> None:
        self.id = id
        self.last, self.newest = clock
        self.rank: Labels | None = None
        """Of a sample of the system: from whom it is taken."""

    def advance(self, at: int, ahead: float) -> int | None:
        """The next sample's time: `at`, or the next free millisecond; None when that is too late.

        All are in milliseconds since the epoch; no time goes beyond `ahead`.
        """
        if at > self.last:
            self.last = self.newest = at
            return at
        if at < self.newest - LATE_MS or self.last >= ahead:
            return None
        self.newest = max(self.newest, at)
        self.last += 1
        return self.last


Sample = tuple[Series, int, float]
"""Series, milliseconds since the epoch, value."""
