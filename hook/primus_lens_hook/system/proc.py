# SPDX-License-Identifier: Apache-2.0
"""What Linux says of the node and of this process's tree, where there is no psutil.

The formats are proc(5)'s and the kernel's Documentation/admin-guide/iostats.rst. It must never
read more than a few files for each process of the node.
"""

from __future__ import annotations

import contextlib
import os
from typing import Dict, Hashable, List, Tuple

SECTOR = 512  # bytes; the kernel counts in these, whatever the disk's own are


def counts_once(disk: str) -> bool:
    """Whether a block device is a disk: no partition, no volume made of disks, no loop."""
    # Bytes of sda1 are in sda's already, those of an md or dm device in its disks'. Without sysfs
    # there is no telling, and all of them count.
    return not os.path.isdir("/sys/block") or os.path.exists("/sys/block/%s/device" % disk)


class Proc:
    """Reads /proc, and of the processes' stats only what is new or our own."""

    name = "proc"

    def __init__(self) -> None:
        # Of the process that made it: a forked child makes its own.
        self._me = os.getpid()
        self._tick = 1.0 / os.sysconf("SC_CLK_TCK")
        self._page = os.sysconf("SC_PAGE_SIZE")
        self._parents: Dict[int, int] = {}

    def cpu_times(self) -> Tuple[float, float]:
        """Seconds that the node's CPUs were busy, and all of their seconds."""
        user, nice, system, idle, iowait, irq, softirq, steal = (
            int(ticks) * self._tick for ticks in _lines("/proc/stat")[0].split()[1:9]
        )  # guests' time, which follows, is in user time already
        busy = user + nice + system + irq + softirq + steal
        return busy, busy + idle + iowait

    def memory(self) -> Tuple[int, int]:
        """Bytes of the node that are not available, and all of its bytes."""
        # Not MemFree: the page cache of a training that reads its data fills all memory.
        found = dict(line.split(":") for line in _lines("/proc/meminfo"))
        total, available = (
            int(found[name].split()[0]) * 1024 for name in ("MemTotal", "MemAvailable")
        )
        return total - available, total

    def networks(self) -> Dict[Hashable, Dict[str, float]]:
        """Bytes of each network interface in this network namespace, but for loopback."""
        found: Dict[Hashable, Dict[str, float]] = {}
        # Two lines of headers come first. The name and its first number may stand together,
        # without a space.
        with contextlib.suppress(OSError):
            for line in _lines("/proc/self/net/dev")[2:]:
                name, _, numbers = line.partition(":")
                if name.strip() != "lo":
                    found["network", name.strip()] = {
                        "sys_network_receive_bytes_total": int(numbers.split()[0]),
                        "sys_network_transmit_bytes_total": int(numbers.split()[8]),
                    }
        return found

    def disks(self) -> Dict[Hashable, Dict[str, float]]:
        """Bytes of each disk of the node."""
        found: Dict[Hashable, Dict[str, float]] = {}
        with contextlib.suppress(OSError):
            for line in _lines("/proc/diskstats"):
                fields = line.split()
                if counts_once(fields[2]):
                    found["disk", fields[2]] = {
                        "node_disk_read_bytes_total": int(fields[5]) * SECTOR,
                        "node_disk_written_bytes_total": int(fields[9]) * SECTOR,
                    }
        return found

    def processes(self) -> Dict[Hashable, Dict[str, float]]:
        """This process and its descendants."""
        found: Dict[Hashable, Dict[str, float]] = {}
        for pid in self._tree():
            with contextlib.suppress(OSError):  # it has ended meanwhile
                stat = _stat(pid)
                values = found[pid, stat[19]] = {  # with when it started: ids come back
                    "process_cpu_seconds_total": (int(stat[11]) + int(stat[12])) * self._tick,
                    "process_resident_memory_bytes": int(stat[21]) * self._page,
                    "process_threads": int(stat[17]),
                }
                # What another user's processes do not show comes last: the OSError then leaves
                # what is above in place.
                values["process_open_fds"] = len(os.listdir("/proc/%d/fd" % pid))
                io = dict(line.split(":") for line in _lines("/proc/%d/io" % pid))
                values["process_read_bytes_total"] = int(io["read_bytes"])
                values["process_written_bytes_total"] = int(io["write_bytes"])
        return found

    def _tree(self) -> List[int]:
        # A node may have thousands of processes, and /proc/PID/task/PID/children is not in every
        # kernel. The parent of each is read once: what is no descendant does not become one, and a
        # descendant whose parent ends (its parent is 1 from then on) stays one.
        pids = [int(name) for name in os.listdir("/proc") if name.isdigit()]
        known = self._parents
        self._parents = {pid: known[pid] if pid in known else _parent(pid) for pid in pids}
        children: Dict[int, List[int]] = {}
        for pid, parent in self._parents.items():
            children.setdefault(parent, []).append(pid)
        tree = [self._me]
        for pid in tree:  # which grows meanwhile
            tree += children.get(pid, ())
        return tree


def _parent(pid: int) -> int:
    try:
        return int(_stat(pid)[1])
    except OSError:
        return 0


def _stat(pid: int) -> List[str]:
    """The fields after the command's name: state, parent and so on."""
    # The name may hold spaces and parentheses, `(my (train) job)`: split at the last one.
    return _text("/proc/%d/stat" % pid).rpartition(")")[2].split()


def _lines(path: str) -> List[str]:
    return _text(path).rstrip().split("\n")


def _text(path: str) -> str:
    # A command's name need not be UTF-8, and the locale of a container is often C.
    with open(path, encoding="utf-8", errors="replace") as file:
        return file.read()
