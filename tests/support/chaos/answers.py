# SPDX-License-Identifier: Apache-2.0
"""What the two Prometheus answer at the end: the raw samples of each series."""

import time
from typing import NamedTuple

from support.chaos.oracle import Who

AHEAD = 3600.0  # seconds: the clocks of some trainings are ahead
NAN = "NaN"


class Series(NamedTuple):
    """One series of a training; `key` is None where it has none."""

    family: str
    who: Who
    key: str | None


def number(value):
    """A number that is equal to itself."""
    value = float(value)
    return value if value == value else NAN


def samples_of(prometheus, selector):
    """{labels as a dictionary's items: [(seconds, number), …]}."""
    found = prometheus.samples(selector, time.time() + AHEAD)
    return {
        labels: [(ms / 1000, number(text)) for ms, text in values]
        for labels, values in found.items()
    }


def by_series(found):
    """The same by `Series`; the series of one that differ in other labels are put together."""
    merged = {}
    for labels, values in found.items():
        named = dict(labels)
        who = Who(*(named.get(name, "") for name in Who._fields))
        series = Series(named["__name__"], who, named.get("key"))
        merged.setdefault(series, []).extend(values)
    return {series: sorted(values, key=lambda each: each[0]) for series, values in merged.items()}


class Answers:
    def __init__(self, world):
        trainings = '{__name__=~"primus_lens_wandb_(metric|step|records_total|run_info|last_.*)"}'
        self.sent = by_series(
            samples_of(world.receiver, '{__name__=~"primus_lens_wandb_(metric|step)"}')
        )
        self.pages = by_series(samples_of(world.scraper, trainings))
        self.up = sorted(
            each for values in samples_of(world.scraper, "up").values() for each in values
        )
        self.firing = samples_of(world.scraper, 'ALERTS{alertstate="firing"}')
        faults = samples_of(world.scraper, "primus_lens_exporter_faults_total")
        self.faults = [each for values in faults.values() for each in values]
