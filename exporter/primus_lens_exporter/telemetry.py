# SPDX-License-Identifier: Apache-2.0
"""The exporter's own metrics, apart from the training's: `primus_lens_exporter_*`."""

from __future__ import annotations

import platform

from primus_lens_hook import __version__
from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)

from primus_lens_exporter.decode import RESULTS

PREFIX = "primus_lens_exporter_"
FILE_EVENTS = ("opened", "closed", "truncated", "replaced")
REFUSALS = ("not_regular", "permission", "link", "io_error")


class Telemetry:
    """Counters and gauges of one exporter, in a registry of their own."""

    def __init__(self) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        self.lines = Counter(
            PREFIX + "lines_total",
            "Lines read, by result.",
            ["result"],
            registry=registry,
        )
        self.bytes = Counter(PREFIX + "read_bytes_total", "Bytes read.", registry=registry)
        self.file_events = Counter(
            PREFIX + "file_events_total",
            "What happened to files.",
            ["event"],
            registry=registry,
        )
        self.refused = Counter(
            PREFIX + "refused_files_total",
            "Files that could not be read, by reason, once for each file.",
            ["reason"],
            registry=registry,
        )
        self.faults = Counter(
            PREFIX + "faults_total",
            "Errors in the exporter itself; see its log.",
            registry=registry,
        )
        self.files = Gauge(PREFIX + "files", "Files being followed.", registry=registry)
        self.directories = Gauge(
            PREFIX + "rank_directories",
            "Rank directories being followed.",
            registry=registry,
        )
        self.series = Gauge(PREFIX + "series", "Series on the page.", registry=registry)
        self.scan_seconds = Gauge(
            PREFIX + "scan_duration_seconds",
            "Duration of the newest scan.",
            registry=registry,
        )
        self.scan_timestamp = Gauge(
            PREFIX + "last_scan_timestamp_seconds",
            "End of the newest scan.",
            registry=registry,
        )
        build = Gauge(PREFIX + "build_info", "Always 1.", ["version", "python"], registry=registry)
        build.labels(__version__, platform.python_version()).set(1)
        self._start_from_zero()

    def render(self) -> bytes:
        """The text format; a millisecond or less."""
        return generate_latest(self.registry)

    def _start_from_zero(self) -> None:
        """A counter that appears with its first error hides that error from `increase`."""
        for result in RESULTS:
            self.lines.labels(result)
        for event in FILE_EVENTS:
            self.file_events.labels(event)
        for reason in REFUSALS:
            self.refused.labels(reason)
