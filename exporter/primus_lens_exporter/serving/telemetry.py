# SPDX-License-Identifier: Apache-2.0
"""The exporter's own metrics, apart from the training's: `primus_lens_exporter_*`."""

from __future__ import annotations

import platform
from collections.abc import Iterator, Mapping

from primus_lens_hook import __version__
from primus_lens_toolkit.rejections import Rejections
from prometheus_client import CollectorRegistry, Gauge, disable_created_metrics, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from primus_lens_exporter.model.labels import label_text
from primus_lens_exporter.reading.counts import Counts, together
from primus_lens_exporter.series.metric_family import MetricFamily
from primus_lens_exporter.serving.process import ProcessSeries

PREFIX = "primus_lens_exporter_"


class Telemetry:
    """What reading has counted, and a registry to which each other part adds its own."""

    def __init__(self) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self._counts: list[Counts] = []
        self.registry = registry = CollectorRegistry()
        registry.register(ProcessSeries())
        registry.register(ReadingSeries(self))
        self.series = Gauge(PREFIX + "series", "Series on the page.", registry=registry)
        self.refused_clients = Rejections(registry, PREFIX)
        labels = ("version", "python")
        build = Gauge(PREFIX + "build_info", "Always 1.", labels, registry=registry)
        build.labels(__version__, platform.python_version()).set(1)

    @property
    def reading(self) -> Counts:
        """What all followers have counted, as it is now."""
        return together(self._counts)

    def new_counts(self) -> Counts:
        """For one more follower."""
        counts = Counts()
        self._counts.append(counts)
        return counts

    def render(self) -> bytes:
        """The text format; a millisecond or less."""
        reading = self.reading
        return generate_latest(self.registry) + _lag(reading) + _stuck(reading)


class ReadingSeries(Collector):
    """The counts of reading, at each scrape."""

    def __init__(self, telemetry: Telemetry) -> None:
        self._telemetry = telemetry

    def collect(self) -> Iterator[Metric]:
        counts = self._telemetry.reading
        yield _counter("lines", "Lines read, by result.", counts.lines, "result")
        yield CounterMetricFamily(PREFIX + "read_bytes", "Bytes read.", counts.bytes)
        yield _counter("file_events", "What happened to files.", counts.file_events, "event")
        why = "Files that could not be read, by reason, once for each file."
        yield _counter("refused_files", why, counts.refused, "reason")
        why = "Times that something was put off or left out for a limit."
        yield _counter("limited", why, counts.limited, "limit")
        why = "Values read that got no series, by reason."
        yield _counter("dropped_series", why, counts.dropped, "reason")
        why = "Runs that one rank has logged to in several directories, whose values are mixed."
        yield CounterMetricFamily(PREFIX + "shared_runs", why, counts.shared_runs)
        why = "Errors in the exporter itself; see its log."
        yield CounterMetricFamily(PREFIX + "faults", why, counts.faults)
        for name, help_text, value in (
            ("files", "Files being followed.", counts.files),
            ("rank_directories", "Rank directories being followed.", counts.ranks),
            ("tick_duration_seconds", "Duration of the newest tick.", counts.tick_seconds),
            ("last_tick_timestamp_seconds", "End of the newest tick.", counts.tick_timestamp),
        ):
            yield GaugeMetricFamily(PREFIX + name, help_text, value)


def _counter(name: str, help: str, values: Mapping[str, int], label: str) -> Metric:
    family = CounterMetricFamily(PREFIX + name, help, labels=[label])
    for value, count in values.items():
        family.add_metric([value], count)
    return family


def _lag(counts: Counts) -> bytes:
    """How far reading is behind, for each pod (or plain directory); paths need not be UTF-8."""
    waiting = MetricFamily(PREFIX + "lag_bytes", "gauge", "Bytes that wait to be read.")
    age = MetricFamily(
        PREFIX + "lag_seconds", "gauge", "Age of the newest record read, while more wait."
    )
    for who, (size, seconds) in counts.lag.items():
        waiting.add(waiting.prefix(label_text(who)), value=size)
        age.add(age.prefix(label_text(who)), value=seconds)
    return b"".join([*waiting.parts(), *age.parts()])


def _stuck(counts: Counts) -> bytes:
    """For how long file systems have not answered, by the path that a thread reads."""
    help_text = "Time for which a file system that can hang has not answered."
    family = MetricFamily(PREFIX + "stuck_seconds", "gauge", help_text)
    for path, seconds in counts.stuck.items():
        family.add(family.prefix(label_text([("path", path)])), value=seconds)
    return b"".join(family.parts())
