# SPDX-License-Identifier: Apache-2.0
"""What psutil says of the node and of this process's tree, of any version since 5.6.

It must never use psutil's caches, which are one for the process and may be the user's.
"""

from __future__ import annotations

from typing import Any, Dict, Hashable, Tuple

from primus_lens_hook.system.proc import counts_once

LOOPBACKS = ("lo", "lo0", "Loopback Pseudo-Interface 1")


class Psutil:
    """Reads by a psutil that is already imported."""

    name = "psutil"

    def __init__(self, psutil: Any) -> None:
        self._psutil = psutil
        # Kept, with the children it returns: psutil tells a process from a later one of the same
        # id by its start time, which it reads once.
        self._me = psutil.Process()

    def cpu_times(self) -> Tuple[float, float]:
        """Seconds that the node's CPUs were busy, and all of their seconds."""
        times = self._psutil.cpu_times()
        # Guests' time is in user time already (proc(5)), and would be counted twice. Fields differ
        # by system: Windows and macOS have no iowait, which on Linux is idle time.
        total = sum(times) - getattr(times, "guest", 0.0) - getattr(times, "guest_nice", 0.0)
        return total - times.idle - getattr(times, "iowait", 0.0), total

    def memory(self) -> Tuple[int, int]:
        """Bytes of the node that are not available, and all of its bytes."""
        memory = self._psutil.virtual_memory()
        return memory.total - memory.available, memory.total

    def networks(self) -> Dict[Hashable, Dict[str, float]]:
        """Bytes of each network interface in this network namespace, but for loopback."""
        # nowrap=True would keep the last values in a table of the module, which the user's own
        # calls share. host.Sums does the same with a table of ours.
        try:
            found = self._psutil.net_io_counters(pernic=True, nowrap=False)
        except Exception:  # each system has reasons of its own
            return {}
        return {
            ("network", name): {
                "sys_network_receive_bytes_total": counters.bytes_recv,
                "sys_network_transmit_bytes_total": counters.bytes_sent,
            }
            for name, counters in found.items()
            if name not in LOOPBACKS
        }

    def disks(self) -> Dict[Hashable, Dict[str, float]]:
        """Bytes of each disk of the node."""
        try:
            found = self._psutil.disk_io_counters(perdisk=True, nowrap=False)
        except Exception:  # NotImplementedError without /proc/diskstats and /sys/block
            return {}
        return {
            ("disk", name): {
                "node_disk_read_bytes_total": counters.read_bytes,
                "node_disk_written_bytes_total": counters.write_bytes,
            }
            for name, counters in found.items()
            if counts_once(name)
        }

    def processes(self) -> Dict[Hashable, Dict[str, float]]:
        """This process and its descendants."""
        found: Dict[Hashable, Dict[str, float]] = {}
        # DataLoader workers come and go: each of them may end between the listing and its reading.
        for process in [self._me, *self._me.children(recursive=True)]:
            try:
                with process.oneshot():
                    found[process] = self._process(process)
            except self._psutil.Error:  # it has ended meanwhile
                continue
        return found

    def _process(self, process: Any) -> Dict[str, float]:
        times = process.cpu_times()
        values = {
            "process_cpu_seconds_total": times.user + times.system,
            "process_resident_memory_bytes": process.memory_info().rss,
            "process_threads": process.num_threads(),
        }
        # hasattr: io_counters is not on macOS, num_fds not on Windows.
        try:
            if hasattr(process, "num_fds"):
                values["process_open_fds"] = process.num_fds()
            if hasattr(process, "io_counters"):
                counters = process.io_counters()
                values["process_read_bytes_total"] = counters.read_bytes
                values["process_written_bytes_total"] = counters.write_bytes
        except self._psutil.AccessDenied:  # of another user, or with more privileges
            pass
        return values
