# SPDX-License-Identifier: Apache-2.0
"""Remote write: each number of each record once, at its time; and nothing else."""

from collections import Counter, defaultdict

from support.chaos.answers import number
from support.chaos.finding import about

METRIC, STEP = "primus_lens_wandb_metric", "primus_lens_wandb_step"
LATE = 1.0  # seconds: what is older than its series' newest by more is dropped, as documented
ROUNDED = 0.001


def check(world, answers):
    received = defaultdict(dict)
    for series, samples in answers.sent.items():
        received[series.who][series.family, series.key] = samples
    for who in received.keys() | world.oracle.lives.keys():
        life = world.oracle.lives.get(who)
        lines = life.order if life else []
        found = []
        for name in received[who].keys() | expected_series(lines):
            found += _compare(lines, name, received[who].get(name, ()), world.settings.shift)
        yield from about("sent", who, sorted(found, key=lambda each: each[2]))


def expected_series(lines):
    keys = {(METRIC, key) for line in lines for key in line.data}
    return keys | {(STEP, None)} if lines else keys


def values_of(lines, name):
    """(line, number) of each line that has the series' value."""
    family, key = name
    if family == STEP:
        return [(line, number(line.step)) for line in lines]
    return [(line, number(line.data[key])) for line in lines if key in line.data]


def _compare(lines, name, samples, shift):
    """(what, example, seconds) of each sample that is too much, and of each that is missing."""
    waiting, logged, newest = defaultdict(list), Counter(), 0.0
    for line, value in values_of(lines, name):
        late = line.time < newest - LATE
        newest = max(newest, line.time)
        waiting[value].append((line, late))
        logged[value] += 1
    label = name[1] or "step"
    for at, value in samples:
        match = [each for each in waiting[value] if -ROUNDED <= at - each[0].time <= shift]
        if match:
            waiting[value].remove(match[0])
        else:
            what = "doubled" if logged[value] else "false"
            yield what, f"{label} {value} at {at:.3f}", at
    for value, left in waiting.items():
        for line, late in left:
            if line.needed and not late:
                yield "lost", f"{label} {value} of line {line.n} at {line.time:.3f}", line.time
