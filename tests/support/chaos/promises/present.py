# SPDX-License-Identifier: Apache-2.0
"""A run that logs for longer than a few scrapes has series, at each scrape."""

from support.chaos.finding import about
from support.chaos.promises.counts import FAMILY

FEW = 3
ROUNDED = 0.01


def check(world, answers):
    lag = world.delays.lag
    scrapes = [
        at
        for at, up in answers.up
        if up == 1 and world.exporter.seconds_up(at - lag, at) > lag - ROUNDED
    ]
    seen = {}
    for series, samples in answers.pages.items():
        if series.family == FAMILY:
            seen[series.who] = {at for at, _ in samples}
    for who, life in world.oracle.lives.items():
        due = [at for at in scrapes if _due(world, life, at, lag)]
        missing = [at for at in due if at not in seen.get(who, ())]
        if len(due) >= FEW and missing:
            example = f"at {len(missing)} of {len(due)} scrapes"
            found = [("no series", example, at) for at in missing]
            yield from about("present", who, found)


def _due(world, life, at, lag):
    hung = any(start - lag < at < end + lag for start, end in world.hangs)
    if hung and life.volume == "hung":
        return False
    return life.logging(at, lag) and life.first_done <= world.delays.earliest(life, at)
