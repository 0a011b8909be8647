# SPDX-License-Identifier: Apache-2.0
"""Aggregates of one key over a pod's ranks, and the series that they become.

Each is a metric of its own and no label of the ranks' metric, so that a sum over ranks never
holds an aggregate.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable
from typing import NamedTuple

AGGREGATES = {
    "primus_lens_wandb_metric_min": "Least value that a pod's ranks logged under each key.",
    "primus_lens_wandb_metric_mean": "Mean of the values that a pod's ranks logged under each key.",
    "primus_lens_wandb_metric_max": "Greatest value that a pod's ranks logged under each key.",
}
"""Name and help, in the order of `Round.values`."""


class Round(NamedTuple):
    """What the ranks of a pod logged under one key at one step."""

    key: str
    at: float
    """Unix seconds of the newest of the values."""
    values: tuple[float, float, float]
    """Least, mean, greatest."""


def aggregate(values: Collection[float]) -> tuple[float, float, float]:
    """Least, mean and greatest; each NaN if any value is, so that a NaN stays visible."""
    low, high = min(values), max(values)
    try:
        mean = _sum(values) / len(values)
    except OverflowError:
        mean = _sum(each / len(values) for each in values)
    if math.isnan(mean) and any(map(math.isnan, values)):
        return math.nan, math.nan, math.nan
    return low, min(max(mean, low), high), high  # rounding may lead out of these


def _sum(values: Iterable[float]) -> float:
    try:
        return math.fsum(values)
    except ValueError:  # both infinities
        return math.nan
