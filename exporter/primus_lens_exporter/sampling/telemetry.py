# SPDX-License-Identifier: Apache-2.0
"""What sampling tells of itself: how many values were left out, and by which word of the file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from prometheus_client.core import CounterMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

NAME = "primus_lens_exporter_sampled_out_values"


class SamplingSeries(Collector):
    """The counts of one consumer's sampler, at each scrape."""

    def __init__(self, left_out: Mapping[str, int]) -> None:
        self._left_out = left_out

    def collect(self) -> Iterator[Metric]:
        why = "Values that the rules of sampling left out, by reason; aggregated ones are `ranks`."
        family = CounterMetricFamily(NAME, why, labels=["reason"])
        for reason, values in self._left_out.items():
            family.add_metric([reason], values)
        yield family
