# SPDX-License-Identifier: Apache-2.0
"""Between what was written and what a scrape may show: how late and how early it may be."""


class Delays:
    """`hangs` are the times [from, to] in which the volume `hung` answered nothing."""

    def __init__(self, settings, hangs=()):
        self.settings, self.hangs = settings, hangs
        self.paused = 0.0
        """Seconds by which this machine was late at the worst."""

    @property
    def lag(self):
        return self.settings.lag + self.paused

    def earliest(self, life, at):
        """What was written by then must be there: `lag` ago, or before a hang that lasts."""
        known = at - self.lag
        for start, end in reversed(self.hangs if life.volume == "hung" else ()):
            if start - self.lag < at and known < end + self.lag:
                known = min(known, start - self.lag)
        return known

    def latest(self, at):
        """What was written after this cannot be there."""
        return at + self.settings.scrape_late + self.paused
