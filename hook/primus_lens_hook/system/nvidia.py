# SPDX-License-Identifier: Apache-2.0
"""NVIDIA's GPUs, as NVML shows them, under the indices that CUDA gives them in this process.

A value that a device or a driver does not offer is left out, and a device in trouble spoils no
other. It must never wait for an event, nor be used in a child of the process that made it.
"""

# NVML counts in the order of the bus. CUDA does so unless unlike GPUs are mixed: then its fastest
# is 0, and only CUDA_DEVICE_ORDER=PCI_BUS_ID makes the two agree.

from __future__ import annotations

import ctypes
import os
from types import ModuleType
from typing import Any, Callable, Dict, Iterator, List, Mapping, NamedTuple, Optional, Tuple, Union

from primus_lens_hook.system import Sample, vendored, visible_devices

LIBRARY = "libnvidia-ml.so.1"
MAX_EVENTS = 64  # of one reading: a GPU in distress may report without end
MEGA = 1000000
Value = Union[float, int, str]


def find(environ: Mapping[str, str] = os.environ) -> Optional[Nvml]:
    """The GPUs that CUDA shows this process; None without a driver or a GPU."""
    try:
        # Without a driver this is all that it costs: the bindings are 8,000 lines to compile.
        ctypes.CDLL(LIBRARY)
        nvml = vendored.load("pynvml")
        if nvml is None:
            return None
        # Never undone: NVML counts its users, and the last shutdown ends it for all handles.
        nvml.nvmlInit()
        gpus = [_Gpu(nvml, part) for part in _visible(nvml, environ.get("CUDA_VISIBLE_DEVICES"))]
    except Exception:  # a driver that does not fit its library, or does not answer
        return None
    return Nvml(gpus) if gpus else None


class Nvml:
    """A source of samples."""

    name = "nvml"

    def __init__(self, gpus: List[_Gpu]) -> None:
        self._gpus = gpus

    def read(self) -> Sample:
        """What there is to know of each GPU, as `gpu_{index}_{name of SAMPLE_OF_GPU}`."""
        sample: Sample = {}
        for index, gpu in enumerate(self._gpus):
            for name, value in gpu.read():
                sample["gpu_%d_%s" % (index, name)] = value
        return sample


class _Part(NamedTuple):
    """What CUDA sees as one device: a GPU, or a slice of it."""

    handle: Any
    uuid: str
    is_slice: bool


class _Gpu:
    def __init__(self, nvml: ModuleType, part: _Part) -> None:
        self._nvml = nvml
        self._part = part
        self._name = _text(nvml.nvmlDeviceGetName, part.handle)
        self._measures = MEMORY if part.is_slice else MEMORY + MEASURES
        # A slice (MIG) has no more than a name and memory of its own. A set of events for each GPU,
        # since a lost one fails all that wait with it.
        self._events = None if part.is_slice else _watch_for_xids(nvml, part.handle)
        self._xids = 0

    def read(self) -> Iterator[Tuple[str, Value]]:
        fixed = (("uuid", self._part.uuid), ("name", self._name))
        for name, text in fixed:
            if text:
                yield name, text
        for measure, function in self._measures:
            try:
                value = function(self._nvml, self._part.handle)
            except Exception:  # not offered, or the GPU is lost
                value = None
            if value is not None:
                yield measure, value
        if self._events is not None:
            self._count_xids()
            yield "xid_errors_total", self._xids

    def _count_xids(self) -> None:
        for _ in range(MAX_EVENTS):
            # A timeout of 0 asks, and does not wait: a wait holds the sampler, whose other values
            # would be missing meanwhile.
            try:
                event = self._nvml.nvmlEventSetWait(self._events, 0)
            except Exception:  # there is none (a timeout), or the GPU is lost
                return
            if event.eventType == self._nvml.nvmlEventTypeXidCriticalError:
                self._xids += 1


def _watch_for_xids(nvml: ModuleType, handle: Any) -> Any:
    # Events that came before are not told: the counter begins at 0, and says so in the contract.
    try:
        events = nvml.nvmlEventSetCreate()
        nvml.nvmlDeviceRegisterEvents(handle, nvml.nvmlEventTypeXidCriticalError, events)
        return events
    except Exception:
        return None


def _memory(nvml: ModuleType, handle: Any) -> Any:
    try:  # without what the driver reserves for itself, as nvidia-smi shows it
        return nvml.nvmlDeviceGetMemoryInfo(handle, nvml.nvmlMemory_v2)
    except Exception:  # older than that
        return nvml.nvmlDeviceGetMemoryInfo(handle)


def _temperature(nvml: ModuleType, handle: Any) -> int:
    try:
        degrees: int = nvml.nvmlDeviceGetTemperature(handle, nvml.NVML_TEMPERATURE_GPU)
    except Exception:  # the call that is to go with CUDA 14
        degrees = nvml.nvmlDeviceGetTemperatureV(handle, nvml.NVML_TEMPERATURE_GPU)
    return degrees


def _uncorrected(nvml: ModuleType, handle: Any) -> int:
    kind, since_load = nvml.NVML_MEMORY_ERROR_TYPE_UNCORRECTED, nvml.NVML_VOLATILE_ECC
    count: int = nvml.nvmlDeviceGetTotalEccErrors(handle, kind, since_load)
    return count


Measures = Tuple[Tuple[str, Callable[[ModuleType, Any], Value]], ...]
MEMORY: Measures = (
    ("memory_used_bytes", lambda nvml, gpu: _memory(nvml, gpu).used),
    ("memory_total_bytes", lambda nvml, gpu: _memory(nvml, gpu).total),
)
MEASURES: Measures = (
    ("util", lambda nvml, gpu: nvml.nvmlDeviceGetUtilizationRates(gpu).gpu),
    ("power_watts", lambda nvml, gpu: nvml.nvmlDeviceGetPowerUsage(gpu) / 1e3),
    ("temperature_celsius", _temperature),
    (
        "sm_clock_hertz",
        lambda nvml, gpu: nvml.nvmlDeviceGetClockInfo(gpu, nvml.NVML_CLOCK_SM) * MEGA,
    ),
    (
        "memory_clock_hertz",
        lambda nvml, gpu: nvml.nvmlDeviceGetClockInfo(gpu, nvml.NVML_CLOCK_MEM) * MEGA,
    ),
    ("ecc_errors_total", _uncorrected),
)


def _visible(nvml: ModuleType, wanted: Optional[str]) -> List[_Part]:
    """What CUDA lets this process use; all of it, and all slices, if no list is given."""
    by_index: Dict[int, List[_Part]] = {}
    by_uuid: Dict[str, _Part] = {}
    for index in range(nvml.nvmlDeviceGetCount()):
        whole = _part(nvml, nvml.nvmlDeviceGetHandleByIndex, index)
        if whole is None:  # lost; the others keep their indices
            continue
        parts = by_index[index] = _parts(nvml, whole)
        by_uuid.update((part.uuid, part) for part in parts)
        by_uuid.update((whole.uuid, first) for first in parts[:1])
    if wanted is None:
        return [part for parts in by_index.values() for part in parts]

    def named(entry: str) -> Optional[_Part]:
        if entry.isdigit():  # of a GPU that is sliced, CUDA takes the first slice
            return next(iter(by_index.get(int(entry), ())), None)
        return visible_devices.by_uuid(entry, by_uuid)

    return visible_devices.chosen(wanted, named)


def _parts(nvml: ModuleType, whole: _Part) -> List[_Part]:
    """The GPU, or its slices where it is sliced."""
    try:
        if nvml.nvmlDeviceGetMigMode(whole.handle)[0] == 0:
            return [whole]
        indices = range(nvml.nvmlDeviceGetMaxMigDeviceCount(whole.handle))
    except Exception:  # neither the GPU nor the driver nor pynvml need know of MIG
        return [whole]
    get = nvml.nvmlDeviceGetMigDeviceHandleByIndex
    # The indices have gaps, and some slices are not ours to see.
    found = [_part(nvml, get, whole.handle, index) for index in indices]
    return [part._replace(is_slice=True) for part in found if part is not None]


def _part(nvml: ModuleType, get: Callable[..., Any], *which: Any) -> Optional[_Part]:
    try:
        handle = get(*which)
    except Exception:
        return None
    return _Part(handle, _text(nvml.nvmlDeviceGetUUID, handle), is_slice=False)


def _text(get: Callable[[Any], Union[str, bytes]], handle: Any) -> str:
    """Text of NVML, which old pynvml hands on as bytes; empty where there is none."""
    try:
        value = get(handle)
        return value.decode() if isinstance(value, bytes) else value
    except Exception:
        return ""
