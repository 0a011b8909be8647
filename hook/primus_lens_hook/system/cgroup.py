# SPDX-License-Identifier: Apache-2.0
"""What the container of this process uses, and the most that it may, as its cgroup says.

Formats: cgroups(7), the kernel's Documentation/admin-guide/cgroup-v1 and cgroup-v2.rst, mountinfo
in proc(5). It must never show the node's numbers for the container's.
"""

from __future__ import annotations

import os
import time
from typing import Callable, Dict, List, Mapping, Optional, Tuple

from primus_lens_hook.system import Sample


def find(proc: str = "/proc/self") -> Optional[Cgroup]:
    """The cgroups of this process; None where it is in none but those of the whole node."""
    found = _directories(proc)
    memory, cpu, cpuacct = (found.get(name, []) for name in ("memory", "cpu", "cpuacct"))
    return Cgroup(memory, cpu, cpuacct) if memory or cpu or cpuacct else None


class Cgroup:
    """A source; for each controller the directories of the cgroup and of its parents."""

    def __init__(self, memory: List[str], cpu: List[str], cpuacct: List[str]) -> None:
        unified = all(_is_unified(group[0]) for group in (memory, cpu, cpuacct) if group)
        self.name = "cgroup2" if unified else "cgroup1"
        self._memory = memory
        self._cpu = cpu
        self._cpuacct = cpuacct
        # What does not limit the node is no limit; version 1 writes "none" as a number.
        self._bytes = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        self._cores = os.cpu_count() or 1
        self._last: Optional[Tuple[float, float]] = None  # monotonic time, CPU seconds
        self.read()

    def read(self) -> Sample:
        """What is known now; sys_… only where there is a limit, else the node's value stays."""
        sample: Sample = {}
        if self._memory:
            used = _memory_used(self._memory[0])
            sample["container_memory_used_bytes"] = used
            # Read each time: limits change while the pod runs (in-place resize of Kubernetes).
            limit = _smallest(self._memory, _memory_limit, self._bytes)
            if limit is not None:
                sample["container_memory_limit_bytes"] = int(limit)
                sample["sys_memory_percent"] = 100.0 * used / limit
        cores = _smallest(self._cpu, _cpu_limit, self._cores)
        if cores is not None:
            sample["container_cpu_limit_cores"] = cores
        if self._cpuacct:
            now, seconds = time.monotonic(), _cpu_seconds(self._cpuacct[0])
            sample["container_cpu_seconds_total"] = seconds
            last, self._last = self._last, (now, seconds)
            if last is not None and now > last[0] and cores is not None:
                sample["sys_cpu_percent"] = 100.0 * (seconds - last[1]) / (now - last[0]) / cores
        return sample


def _directories(proc: str) -> Dict[str, List[str]]:
    """By controller: the directories of the process's cgroup and of its visible parents."""
    paths = {}  # of each controller of version 1; "" stands for version 2
    # systemd's hybrid mode has controllers in both versions at once: each is looked up by itself.
    # Split at the first two colons: a cgroup's name may hold more (`…:cri-containerd:…`).
    for line in _text(proc + "/cgroup").splitlines():
        _, controllers, path = line.split(":", 2)
        for controller in controllers.split(","):
            paths[controller] = path
    mounts = _mounts(proc)
    found = {}
    for controller in ("memory", "cpu", "cpuacct"):
        key = controller if controller in paths and controller in mounts else ""
        if key in paths and key in mounts:
            proof = _PROOF[controller, key == ""]
            lineage = _lineage(paths[key], *mounts[key])
            found[controller] = [d for d in lineage if os.path.exists(os.path.join(d, proof))]
    return found


# A cgroup that has the controller has this file; by controller, and whether it is version 2.
_PROOF: Mapping[Tuple[str, bool], str] = {
    ("memory", False): "memory.usage_in_bytes",
    ("memory", True): "memory.current",
    ("cpu", False): "cpu.cfs_quota_us",
    ("cpu", True): "cpu.max",
    ("cpuacct", False): "cpuacct.usage",
    ("cpuacct", True): "cpu.stat",
}


def _mounts(proc: str) -> Dict[str, Tuple[str, str]]:
    """By controller, "" for version 2: the root of the mounted tree, and where it is mounted."""
    points: Dict[str, Tuple[str, List[str]]] = {}
    for line in _text(proc + "/mountinfo").splitlines():
        fields, _, rest = line.partition(" - ")
        # Spaces of paths are written as octal. The fields before " - " vary in number.
        root, point = (each.replace("\\040", " ") for each in fields.split()[3:5])
        kind, _, options = rest.split(" ", 2)
        if kind in ("cgroup", "cgroup2"):  # the last that is mounted at a point is seen there
            points[point] = (root, [""] if kind == "cgroup2" else options.split(","))
    return {key: (root, point) for point, (root, keys) in points.items() for key in keys}


def _lineage(path: str, root: str, point: str) -> List[str]:
    """The cgroup's directory and its parents' up to the mount, without the node's own."""
    # A path of `/../…` lies outside of the cgroup namespace, in no directory that we can see: what
    # is mounted there is somebody else's.
    if path.startswith("/..") or root.startswith("/.."):
        return []
    # Version 1 in a container: /proc/self/cgroup shows the host's path, and the mount shows the
    # container's own cgroup alone, at its top. The path is then not below the mounted root.
    root = root.rstrip("/")
    inside = (path + "/").startswith(root + "/")
    directory = os.path.normpath(point + path[len(root) :]) if inside else point
    lineage = []
    while len(directory) >= len(point) and os.path.isdir(directory) and not _is_node(directory):
        lineage.append(directory)
        directory = os.path.dirname(directory)
    return lineage


def _is_node(directory: str) -> bool:
    """Whether it is the root of all cgroups, which counts for the node."""
    if _is_unified(directory):  # cgroup.type is everywhere but there
        return not os.path.exists(os.path.join(directory, "cgroup.type"))
    return os.path.exists(os.path.join(directory, "release_agent"))  # nowhere but there


def _is_unified(directory: str) -> bool:
    return os.path.exists(os.path.join(directory, "cgroup.controllers"))


def _memory_used(directory: str) -> int:
    """As kubelet counts: without the pages of files that the kernel can drop at once."""
    # The usage itself holds the page cache: a training that reads its data set would stand at
    # its limit for ever. This is the working set, which kubelet evicts by.
    if _is_unified(directory):
        usage, inactive = "memory.current", "inactive_file"
    else:
        usage, inactive = "memory.usage_in_bytes", "total_inactive_file"
    used = int(_text(os.path.join(directory, usage)))
    return max(0, used - int(_fields(os.path.join(directory, "memory.stat")).get(inactive, 0)))


def _memory_limit(directory: str) -> Optional[float]:
    name = "memory.max" if _is_unified(directory) else "memory.limit_in_bytes"
    text = _text(os.path.join(directory, name)).strip()
    return None if text == "max" else int(text)


def _cpu_limit(directory: str) -> Optional[float]:
    if _is_unified(directory):
        quota, period = _text(os.path.join(directory, "cpu.max")).split()
    else:
        names = ("cpu.cfs_quota_us", "cpu.cfs_period_us")
        quota, period = (_text(os.path.join(directory, name)).strip() for name in names)
    return None if quota in ("max", "-1") else int(quota) / int(period)


def _cpu_seconds(directory: str) -> float:
    if _is_unified(directory):
        return int(_fields(os.path.join(directory, "cpu.stat"))["usage_usec"]) / 1e6
    return int(_text(os.path.join(directory, "cpuacct.usage"))) / 1e9


def _smallest(
    lineage: List[str], read: Callable[[str], Optional[float]], whole: float
) -> Optional[float]:
    """The smallest limit of a cgroup and its parents; None if it leaves the whole node."""
    # A container without a limit may be in a pod, or under a Slurm step, that has one.
    limits = [limit for limit in map(read, lineage) if limit is not None and limit < whole]
    return min(limits, default=None)


def _fields(path: str) -> Dict[str, str]:
    return dict(line.split(" ", 1) for line in _text(path).splitlines() if " " in line)


def _text(path: str) -> str:
    with open(path, encoding="utf-8") as file:
        return file.read()
