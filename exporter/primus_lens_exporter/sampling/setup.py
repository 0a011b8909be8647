# SPDX-License-Identifier: Apache-2.0
"""From the settings of sampling to what stands before each consumer."""

from __future__ import annotations

from collections.abc import Coroutine

from primus_lens_toolkit.errors import CannotStart
from prometheus_client import CollectorRegistry

from primus_lens_exporter.model.errors import ExporterError
from primus_lens_exporter.model.series_rules import SeriesRules
from primus_lens_exporter.reading.consumer import Consumer
from primus_lens_exporter.reading.counts import Counts
from primus_lens_exporter.sampling.config import SamplingError, load
from primus_lens_exporter.sampling.rules import Rules
from primus_lens_exporter.sampling.sampler import Sampler
from primus_lens_exporter.sampling.settings import SamplingSettings
from primus_lens_exporter.sampling.telemetry import SamplingSeries


class CannotSample(ExporterError, CannotStart):
    """The rules cannot be used; the text says why and what to do."""


class Sampling:
    """Without a file, nothing stands before a consumer, and nothing is counted."""

    def __init__(
        self, settings: SamplingSettings, keys: SeriesRules, keys_per_pod: int, counts: Counts
    ) -> None:
        """`counts`: of reading, where faults are counted. Raises CannotSample."""
        self._counts = counts
        self._samplers: list[Sampler] = []
        self._rules: Rules | None = None
        self._bounds = keys_per_pod, settings.limits_waiting_values_per_pod
        path = settings.sampling_config_file
        if path is None:
            return
        try:
            self._rules = Rules(load(path), keys)
        except SamplingError as error:
            raise CannotSample(f"--sampling.config.file: {error}") from None

    def before(self, consumer: Consumer, registry: CollectorRegistry | None = None) -> Consumer:
        """What takes records for a consumer; its counts are on the page of `registry`."""
        if self._rules is None:
            return consumer
        sampler = Sampler(consumer, self._rules, *self._bounds, self._counts)
        self._samplers.append(sampler)
        if registry is not None:
            registry.register(SamplingSeries(sampler.left_out))
        return sampler

    def work(self) -> list[Coroutine[None, None, None]]:
        """To be run beside reading."""
        return [sampler.run() for sampler in self._samplers]
