# SPDX-License-Identifier: Apache-2.0
"""What the values of a sample of the system are called, for the page and for remote write.

The names are those of `primus_lens_hook.contract`, in base units. What it does not name
makes nothing: it is a newer hook's, or forged. Pure: no files, no clock.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from primus_lens_hook import contract

from primus_lens_exporter.model.labels import Labels, cut
from primus_lens_exporter.model.record import as_float

PERCENT = 0.01
# Three digits: no node has more GPUs, and a pod can forge no more.
GPU_KEY = re.compile(re.escape(contract.SAMPLE_PREFIX) + r"gpu_(0|[1-9][0-9]{0,2})_([a-z_]+)")
# Prometheus keeps `_count` for histograms.
RENAMED = {"process_count": "processes", "util": "utilization_ratio"}
TEXTS = ("uuid", "name")

HELP = {
    "sys_cpu_percent": "CPU in use, of what the container may use.",
    "sys_memory_percent": "Memory in use, of what the container may use.",
    "sys_network_receive_bytes_total": "Bytes received on the pod's interfaces.",
    "sys_network_transmit_bytes_total": "Bytes sent on the pod's interfaces.",
    "node_cpu_percent": "CPU of the node in use.",
    "node_memory_used_bytes": "Memory of the node in use.",
    "node_memory_total_bytes": "Memory of the node.",
    "node_disk_read_bytes_total": "Bytes read from the node's disks.",
    "node_disk_written_bytes_total": "Bytes written to the node's disks.",
    "container_cpu_seconds_total": "CPU time of the container.",
    "container_cpu_limit_cores": "CPUs that the container may use.",
    "container_memory_used_bytes": "Memory of the container in use.",
    "container_memory_limit_bytes": "Memory that the container may use.",
    "process_count": "Processes of the rank.",
    "process_cpu_seconds_total": "CPU time of the rank's processes.",
    "process_resident_memory_bytes": "Resident memory of the rank's processes.",
    "process_threads": "Threads of the rank's processes.",
    "process_open_fds": "Open file descriptors of the rank's processes.",
    "process_read_bytes_total": "Bytes that the rank's processes had read from disks.",
    "process_written_bytes_total": "Bytes that the rank's processes had written to disks.",
    "util": "Share of the time in which the GPU was busy.",
    "memory_used_bytes": "Memory of the GPU in use.",
    "memory_total_bytes": "Memory of the GPU.",
    "power_watts": "Power that the GPU draws.",
    "temperature_celsius": "Temperature of the GPU.",
    "sm_clock_hertz": "Clock of the GPU's cores.",
    "memory_clock_hertz": "Clock of the GPU's memory.",
    "ecc_errors_total": "Uncorrected memory errors since the driver was loaded.",
    "xid_errors_total": "Errors (XID) that the driver reported since sampling began.",
}


class Measure(NamedTuple):
    """The series that one name of a sample becomes."""

    metric: str
    kind: str
    help: str
    scale: float = 1.0
    """What a value is multiplied by, to come to the base unit."""
    of_process: bool = False
    """Of the rank; the others are the pod's, whichever of its ranks says them."""


class Reading(NamedTuple):
    """One value of a sample; `labels` stand behind the identity."""

    measure: Measure
    gpu: str
    labels: Labels
    value: float


def _measure(prefix: str, name: str, *, of_process: bool = False) -> Measure:
    metric = RENAMED.get(name, name.removeprefix("sys_"))
    if name.endswith("_percent"):
        metric = metric.removesuffix("_percent") + "_utilization_ratio"
    scale = PERCENT if metric.endswith("utilization_ratio") else 1.0
    kind = "counter" if metric.endswith("_total") else "gauge"
    return Measure(prefix + metric, kind, HELP[name], scale, of_process)


OF_SYSTEM = {
    contract.SAMPLE_PREFIX + name: _measure(
        "primus_lens_system_", name, of_process=name in contract.SAMPLE_OF_PROCESS
    )
    for name in (*contract.SAMPLE_OF_POD, *contract.SAMPLE_OF_PROCESS)
}
OF_GPU = {
    name: _measure("primus_lens_gpu_", name) for name in contract.SAMPLE_OF_GPU if name not in TEXTS
}
GPU_INFO = Measure("primus_lens_gpu_info", "gauge", "What the GPU is; always 1.")
MEASURES = {each.metric: each for each in (*OF_SYSTEM.values(), *OF_GPU.values(), GPU_INFO)}
"""By the name of the family."""


def readings(data: Mapping[str, Any], label_bytes: int) -> Iterator[Reading]:
    """What a sample says. Texts are cut to `label_bytes`."""
    gpus: dict[str, Labels] = {}
    for key, value in data.items():
        measure = OF_SYSTEM.get(key)
        if measure is not None:
            if (number := as_float(value)) is not None:
                yield Reading(measure, "", (), number * measure.scale)
            continue
        gpu, name = _of_gpu(key)
        if name not in contract.SAMPLE_OF_GPU:
            continue
        labels = gpus.get(gpu)
        if labels is None:
            labels = gpus[gpu] = _label("gpu", gpu) + _text(data, gpu, "uuid", label_bytes)
        if name == "name":
            yield Reading(GPU_INFO, gpu, labels + _text(data, gpu, "name", label_bytes), 1.0)
        elif name in OF_GPU and (number := as_float(value)) is not None:
            yield Reading(OF_GPU[name], gpu, labels, number * OF_GPU[name].scale)


@functools.lru_cache(4096)
def _of_gpu(key: str) -> tuple[str, str]:
    """Index and name that a key is made of; nothing for one that is no GPU's."""
    match = GPU_KEY.fullmatch(key)
    return (match[1], match[2]) if match else ("", "")


def _text(data: Mapping[str, Any], gpu: str, name: str, label_bytes: int) -> Labels:
    text = data.get(f"{contract.SAMPLE_PREFIX}gpu_{gpu}_{name}")
    return _label(name, cut(text, label_bytes)) if isinstance(text, str) else ()


def _label(name: str, value: str) -> Labels:
    """To Prometheus, an empty label is none."""
    return ((name, value),) if value else ()
