# SPDX-License-Identifier: Apache-2.0
"""The exporter's own metrics, apart from the training's: `primus_lens_exporter_*`."""

from __future__ import annotations

import platform

from primus_lens_hook import __version__
from primus_lens_toolkit.rejections import Rejections
from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    disable_created_metrics,
    generate_latest,
)

from primus_lens_exporter.lag import Lag
from primus_lens_exporter.process import ProcessSeries
from primus_lens_exporter.reading.decode import RESULTS

PREFIX = "primus_lens_exporter_"
FILE_EVENTS = ("opened", "closed", "truncated", "replaced")
REFUSALS = (
    "not_regular", "not_directory", "link", "hard_link", "outside", "lease", "permission",
    "io_error",
)  # fmt: skip
LIMITS = (
    "bytes_per_tick", "seconds_per_tick", "files_per_pod", "ranks_per_volume",
    "directory_entries", "trails_per_pod",
)  # fmt: skip
DROPS = ("series_per_pod", "series_per_node", "keys_per_rank", "label_bytes", "key_rules")


class Telemetry:
    """Counters and gauges of one exporter, in a registry of their own."""

    def __init__(self) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = registry = CollectorRegistry()

        def counter(name: str, help: str, *labels: str) -> Counter:
            return Counter(PREFIX + name, help, labels, registry=registry)

        def gauge(name: str, help: str, *labels: str) -> Gauge:
            return Gauge(PREFIX + name, help, labels, registry=registry)

        registry.register(ProcessSeries())
        self.lines = counter("lines_total", "Lines read, by result.", "result")
        self.bytes = counter("read_bytes_total", "Bytes read.")
        self.file_events = counter("file_events_total", "What happened to files.", "event")
        self.refused = counter(
            "refused_files_total",
            "Files that could not be read, by reason, once for each file.",
            "reason",
        )
        self.limited = counter(
            "limited_total", "Times that something was put off or left out for a limit.", "limit"
        )
        self.dropped = counter(
            "dropped_series_total", "Values read that got no series, by reason.", "reason"
        )
        self.faults = counter("faults_total", "Errors in the exporter itself; see its log.")
        self.files = gauge("files", "Files being followed.")
        self.ranks = gauge("rank_directories", "Rank directories being followed.")
        self.series = gauge("series", "Series on the page.")
        self.tick_seconds = gauge("tick_duration_seconds", "Duration of the newest tick.")
        self.tick_timestamp = gauge("last_tick_timestamp_seconds", "End of the newest tick.")
        self.lag = Lag()
        self.refused_clients = Rejections(registry, PREFIX)
        build = gauge("build_info", "Always 1.", "version", "python")
        build.labels(__version__, platform.python_version()).set(1)
        self._start_from_zero()

    def render(self) -> bytes:
        """The text format; a millisecond or less."""
        return generate_latest(self.registry) + self.lag.render()

    def _start_from_zero(self) -> None:
        """A counter that appears with its first error hides that error from `increase`."""
        for result in RESULTS:
            self.lines.labels(result)
        for event in FILE_EVENTS:
            self.file_events.labels(event)
        for reason in REFUSALS:
            self.refused.labels(reason)
        for limit in LIMITS:
            self.limited.labels(limit)
        for reason in DROPS:
            self.dropped.labels(reason)
