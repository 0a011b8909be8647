# SPDX-License-Identifier: Apache-2.0
"""The usual `process_*` series of this process.

prometheus-client has them too, but lists every descriptor to count them: a millisecond of
each scrape where a thousand files are followed.
"""

from __future__ import annotations

import os
import resource
import time
from collections.abc import Iterable
from pathlib import Path

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


class ProcessSeries(Collector):
    """Reads /proc at each scrape."""

    def __init__(self) -> None:
        self._started = time.time()

    def collect(self) -> Iterable[Metric]:
        used = resource.getrusage(resource.RUSAGE_SELF)
        pages = Path("/proc/self/statm").read_text().split()
        yield CounterMetricFamily(
            "process_cpu_seconds", "CPU time used.", used.ru_utime + used.ru_stime
        )
        gauges = {
            "virtual_memory_bytes": ("Virtual memory.", int(pages[0]) * PAGE_BYTES),
            "resident_memory_bytes": ("Resident memory.", int(pages[1]) * PAGE_BYTES),
            "start_time_seconds": ("Start, in seconds since the epoch.", self._started),
            "open_fds": ("Open file descriptors.", _descriptors()),
            "max_fds": ("How many may be open.", resource.getrlimit(resource.RLIMIT_NOFILE)[0]),
        }
        for name, (help_text, value) in gauges.items():
            yield GaugeMetricFamily(f"process_{name}", help_text, value)


def _descriptors() -> int:
    """From Linux 6.2 on, the directory's size is their number (proc(5))."""
    return os.stat("/proc/self/fd").st_size or len(os.listdir("/proc/self/fd"))
