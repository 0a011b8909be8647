# SPDX-License-Identifier: Apache-2.0
"""How time is compressed, and how late a true answer may be. Seconds, unless said otherwise."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class ChaosSettings:
    factor: int = 20
    """An hour of the alerts' windows, lookback and grace is 1/20 of it: three minutes."""

    scrape: float = 1.0
    scrape_late: float = 1.5
    """A page may be made so long after the time that Prometheus gives the scrape."""

    grace: int = 3
    """`--series.grace-seconds`: a minute, compressed."""

    series: int = 1000
    """`--limits.series-per-pod`: less than the runs of a sweep have together, of which few are
    on the page at once."""

    lag: float = 4.0
    """Lines must be read, and a finish noticed, within this; widened by the machine's pauses."""

    answer: float = 1.0
    """`/metrics` and `/-/healthy` must answer within this. The product's goal is 0.1 on a quiet
    machine; here other programs share the cores."""

    shift: float = 1.1
    """Remote write may move a sample ahead by so much (`samples.LATE_MS`)."""

    act_every: float = 4.0
    """An act begins every so many seconds, on average."""
