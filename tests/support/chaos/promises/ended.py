# SPDX-License-Identifier: Apache-2.0
"""No series of a run whose finish and grace are past, and none of a run that never was."""

from support.chaos.finding import about


def check(world, answers):
    scrapes = {}
    for series, samples in answers.pages.items():
        scrapes.setdefault(series.who, set()).update(at for at, _ in samples)
    for who, times in scrapes.items():
        life = world.oracle.lives.get(who)
        found = [each for at in sorted(times) if (each := _wrong(world, life, at))]
        yield from about("ended", who, found)


def _wrong(world, life, at):
    if life is None:
        return "no such run", "series of a run that nobody has begun", at
    if life.over(world.delays.earliest(life, at), at, world.settings.grace):
        finish = max(end for end in life.finishes if end <= at)
        return "after the grace", f"{at - finish:.0f} s after its finish", at
    return None
