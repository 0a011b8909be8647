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

        def counter(name: str, help: str, *labels: str) -> Counter:
            return Counter(PREFIX + name, help, labels, registry=registry)

        def gauge(name: str, help: str, *labels: str) -> Gauge:
            return Gauge(PREFIX + name, help, labels, registry=registry)

        ProcessCollector(registry=registry)
        self.lines = counter("lines_total", "Lines read, by result.", "result")
        self.bytes = counter("read_bytes_total", "Bytes read.")
        self.file_events = counter("file_events_total", "What happened to files.", "event")
        self.refused = counter(
            "refused_files_total",
            "Files that could not be read, by reason, once for each file.",
            "reason",
        )
        self.faults = counter("faults_total", "Errors in the exporter itself; see its log.")
        self.files = gauge("files", "Files being followed.")
        self.directories = gauge("rank_directories", "Rank directories being followed.")
        self.series = gauge("series", "Series on the page.")
        self.scan_seconds = gauge("scan_duration_seconds", "Duration of the newest scan.")
        self.scan_timestamp = gauge("last_scan_timestamp_seconds", "End of the newest scan.")
        build = gauge("build_info", "Always 1.", "version", "python")
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
