# SPDX-License-Identifier: Apache-2.0
"""`records_total`: the lines of the run, however often anything was restarted, moved or copied.

`increase()` is what Prometheus makes of the raw samples: each fall is a reset to zero.
"""

from itertools import pairwise

from support.chaos.finding import about

FAMILY = "primus_lens_wandb_records_total"


def check(world, answers):
    for series, samples in answers.pages.items():
        if series.family == FAMILY and series.who in world.oracle.lives:
            life = world.oracle.lives[series.who]
            found = [*_falls(life, samples), *_beyond(world.delays, life, samples)]
            found += _increase(world.delays, life, samples)
            yield from about("counts", series.who, found)


def increase(samples):
    """What `increase` over all of them is based on."""
    pairs = pairwise(value for _, value in samples)
    return sum(after - before if after >= before else after for before, after in pairs)


def _falls(life, samples):
    for (before, high), (at, low) in pairwise(samples):
        if low < high and not any(before - 5 <= each <= at for each in life.anew):
            yield "fell", f"from {high:g} to {low:g}", at


def _bounds(delays, life, at):
    """The fewest and the most lines that may be counted at a scrape."""
    era = max((each for each in life.anew if each <= at), default=0.0)
    least = life.written(delays.earliest(life, at)) - life.written(era)
    most = life.begun(delays.latest(at))
    # A copy may lack the first lines, which rotation has deleted: its count may go on all the same.
    return least, max(most, life.count_up_to if most else 0)


def _beyond(delays, life, samples):
    for at, value in samples:
        least, most = _bounds(delays, life, at)
        if not least <= value <= most:
            what = "too few" if value < least else "too many"
            yield what, f"{value:g}, right is {least} to {most}", at


def _increase(delays, life, samples):
    if life.anew or life.count_up_to or len(samples) < 2:
        return
    (first, _), (last, _) = samples[0], samples[-1]
    fewest, most = (_bounds(delays, life, at) for at in (first, last))
    got, low, high = increase(samples), most[0] - fewest[1], most[1] - fewest[0]
    if not low <= got <= high:
        yield "increase", f"increase() {got:g}, lines {max(0, low)} to {high}", first
