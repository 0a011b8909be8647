# SPDX-License-Identifier: Apache-2.0
"""A value on the page was the newest within the last seconds, and never an older one again."""

import bisect
from collections import defaultdict

from support.chaos.answers import number
from support.chaos.finding import about
from support.chaos.promises.sent import METRIC, STEP, values_of

TIME = "primus_lens_wandb_last_record_timestamp_seconds"
APART = 1.5  # seconds by which lines of two processes may come out of order


def check(world, answers):
    found = defaultdict(list)
    for series, samples in answers.pages.items():
        life = world.oracle.lives.get(series.who)
        if life is not None and series.family in (METRIC, STEP, TIME):
            found[series.who] += Served(world.delays, life, series).wrong(samples)
    for who, each in found.items():
        yield from about("values", who, sorted(each, key=lambda one: one[2]))


class Served:
    """One series: the lines that have a value for it, in the order in which they were newest."""

    def __init__(self, delays, life, series):
        self.delays, self.life, self.label = delays, life, series.key or series.family[18:]
        if series.family == TIME:
            # The newest time of a clock that was set is a matter of taste.
            pairs = [] if life.stepped else [(each, number(each.time)) for each in life.order]
        else:
            pairs = values_of(life.order, (series.family, series.key))
        self.unknown = series.family == TIME and life.stepped
        self.lines = [line for line, _ in pairs]
        self.places = defaultdict(list)
        for place, (_, value) in enumerate(pairs):
            self.places[value].append(place)
        done = sorted((line.done, n) for n, line in enumerate(self.lines) if line.needed)
        self._done, self._newest, newest = [], [], 0
        for at, place in done:
            newest = max(newest, place)
            self._done.append(at)
            self._newest.append(newest)

    def wrong(self, samples):
        last = 0
        for at, value in () if self.unknown else samples:
            begun = self.delays.latest(at)
            there = [place for place in self.places[value] if self.lines[place].at <= begun]
            newest = self._newest_at(self.delays.earliest(self.life, at))
            fresh = [place for place in there if self._not_before(place, max(last, newest))]
            if fresh:
                last = max(last, fresh[0])
            else:
                yield self._told(at, value, there, last, newest)

    def _newest_at(self, at):
        place = bisect.bisect_right(self._done, at)
        return self._newest[place - 1] if place else 0

    def _not_before(self, place, other):
        if self.life.by_time:
            return self.lines[place].time >= self.lines[other].time - APART
        return place >= other

    def _told(self, at, value, there, last, newest):
        if not there:
            return "never logged", f"{self.label} {value}", at
        if not self._not_before(there[-1], last):
            newer = self.lines[last]
            text = f"{self.label} of line {self.lines[there[-1]].n} after that of {newer.n}"
            return "older again", text, at
        line, newer = self.lines[there[-1]], self.lines[newest]
        text = f"{self.label} of line {line.n}; line {newer.n} was {at - newer.done:.1f} s old"
        return "not the newest", text, at
