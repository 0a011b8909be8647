# SPDX-License-Identifier: Apache-2.0
"""The usual `process_*` series of this process.

prometheus-client has them too, but lists every descriptor to count them: a millisecond of
each scrape where a thousand files are followed. What cannot be read now is left out: a scrape
never fails for these.
"""

from __future__ import annotations

import contextlib
import os
import resource
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from primus_lens_toolkit import descriptors
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
        yield CounterMetricFamily(
            "process_cpu_seconds", "CPU time used.", used.ru_utime + used.ru_stime
        )
        most = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        yield _gauge("start_time_seconds", "Start, in seconds since the epoch.", self._started)
        yield _gauge("max_fds", "How many may be open.", most)
        with contextlib.suppress(OSError):
            yield _gauge("open_fds", "Open file descriptors.", descriptors.open_now())
        with contextlib.suppress(OSError):
            yield from _memory()


def _memory() -> Iterator[Metric]:
    """Raises OSError."""
    pages = Path("/proc/self/statm").read_text().split()
    yield _gauge("virtual_memory_bytes", "Virtual memory.", int(pages[0]) * PAGE_BYTES)
    yield _gauge("resident_memory_bytes", "Resident memory.", int(pages[1]) * PAGE_BYTES)


def _gauge(name: str, help: str, value: float) -> Metric:
    return GaugeMetricFamily(f"process_{name}", help, value)
