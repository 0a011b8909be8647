# SPDX-License-Identifier: Apache-2.0
"""The node, and the tree of processes that this rank is, as psutil or /proc shows them.

What ends in `_total` must never fall: Prometheus takes a fall for a restart.
"""

from __future__ import annotations

import os
from typing import Dict, Hashable, Mapping, Optional, Union

from primus_lens_hook.system import Sample, vendored
from primus_lens_hook.system.proc import Proc
from primus_lens_hook.system.psutil_source import Psutil

# What each disk, network interface and process has, by the names of the contract.
Parts = Dict[Hashable, Dict[str, float]]


def find() -> Optional[Host]:
    """The user's psutil, else the vendored copy, else /proc; None where there is none."""
    psutil = vendored.load("psutil")
    if psutil is not None:
        return Host(Psutil(psutil))
    return Host(Proc()) if os.path.exists("/proc/self/stat") else None


class Host:
    """A source: what the node does, and what this process and its descendants use."""

    def __init__(self, system: Union[Proc, Psutil]) -> None:
        self.name = system.name
        self._system = system
        self._sums = Sums()
        # A share needs two readings. psutil's cpu_percent keeps the last one in its module, where
        # the user's own call would begin ours anew.
        self._last = system.cpu_times()

    def read(self) -> Sample:
        """All that can be known now; percentages since the last reading."""
        system = self._system
        processes = system.processes()
        parts: Parts = {**system.networks(), **system.disks(), **processes}
        used, total = system.memory()
        sample: Sample = {
            "sys_memory_percent": 100.0 * used / total,
            "node_memory_used_bytes": used,
            "node_memory_total_bytes": total,
            "process_count": len(processes),
            **self._sums.of(parts),
        }
        (busy, time), (last_busy, last_time) = system.cpu_times(), self._last
        # Equal in two readings within a tick of the kernel (10 ms); proc(5) warns that iowait, a
        # part of the sum, may fall; and a sum of floats may be a little more than its whole.
        if time > last_time:
            percent = 100.0 * min(1.0, max(0.0, (busy - last_busy) / (time - last_time)))
            sample["sys_cpu_percent"] = sample["node_cpu_percent"] = percent
            self._last = busy, time
        return sample


class Sums:
    """Sums over parts that come and go; those named `…_total` never fall."""

    def __init__(self) -> None:
        self._seen: Parts = {}
        self._gone: Dict[str, float] = {}

    def of(self, parts: Mapping[Hashable, Mapping[str, float]]) -> Dict[str, float]:
        """The sums by name, with what counted before by parts that are no more."""
        for key, seen in self._seen.items():
            now = parts.get(key)
            for name, value in seen.items():
                # A worker that ends takes its seconds with it, which the training has used all the
                # same. Or begun anew: an interface may come back, and count from nothing.
                if now is None or now.get(name, value) < value:
                    _add(self._gone, name, value)
        before, self._seen = self._seen, {}
        sums = dict(self._gone)
        for key, values in parts.items():
            # A counter that cannot be read for once stands still.
            counters = {n: value for n, value in values.items() if n.endswith("_total")}
            self._seen[key] = {**before.get(key, {}), **counters}
            for name, value in {**self._seen[key], **values}.items():
                _add(sums, name, value)
        # Fractions added up in another order fall by their last bit, a reset to Prometheus.
        return {name: round(value, 6) for name, value in sums.items()}


def _add(sums: Dict[str, float], name: str, value: float) -> None:
    sums[name] = sums.get(name, 0) + value
