# SPDX-License-Identifier: Apache-2.0
"""AMD's GPUs, as the amdgpu driver shows them in sysfs, under the indices that HIP gives them.

What a device does not offer is left out; a card that is cut into partitions counts as one. It
must never write to sysfs, where a write changes the card.
"""

# Not the amdsmi package: it reads the same files, and needs a library of ROCm that images of
# trainings rarely have.

from __future__ import annotations

import glob
import os
from typing import Dict, Iterator, List, Mapping, NamedTuple, Optional, Tuple

from primus_lens_hook.system import Sample, visible_devices

AMD = "0x1002"
# Name in contract.SAMPLE_OF_GPU, files of which the first there is holds it, and how many of the
# file's units make one of ours.
FILES: Tuple[Tuple[str, Tuple[str, ...], int], ...] = (
    ("util", ("gpu_busy_percent",), 1),
    ("memory_used_bytes", ("mem_info_vram_used",), 1),
    ("memory_total_bytes", ("mem_info_vram_total",), 1),
    # Which of the two exists depends on the card; the average is the steadier one. In microwatts.
    ("power_watts", ("hwmon/hwmon*/power1_average", "hwmon/hwmon*/power1_input"), 1000000),
    ("sm_clock_hertz", ("hwmon/hwmon*/freq1_input",), 1),
    ("memory_clock_hertz", ("hwmon/hwmon*/freq2_input",), 1),
)
SENSORS = ("junction", "edge")  # the hottest spot where it is measured; else any


def find(
    sysfs: str = "/sys", dev: str = "/dev", environ: Mapping[str, str] = os.environ
) -> Optional[Amdgpu]:
    """The GPUs that HIP shows this process; None where there are none."""
    # No ROCm without it: a desktop's card, or a node's that this pod was not given.
    if not os.path.exists(os.path.join(dev, "kfd")):
        return None
    gpus = _visible(_gpus(sysfs, dev), environ)
    return Amdgpu(gpus) if gpus else None


class Amdgpu:
    """A source of samples."""

    name = "amdgpu"

    def __init__(self, gpus: List[_Gpu]) -> None:
        self._gpus = gpus

    def read(self) -> Sample:
        """What there is to know of each GPU, as `gpu_{index}_{name of SAMPLE_OF_GPU}`."""
        sample: Sample = {}
        for index, gpu in enumerate(self._gpus):
            texts = (("uuid", gpu.uuid), ("name", gpu.name))
            sample.update(("gpu_%d_%s" % (index, name), text) for name, text in texts if text)
            for name, path, units in gpu.files:
                value = _number(path)
                if value is not None:
                    sample["gpu_%d_%s" % (index, name)] = value if units == 1 else value / units
        return sample


class _Gpu(NamedTuple):
    uuid: str
    name: str
    selector: str  # what ROCR_VISIBLE_DEVICES calls it
    files: List[Tuple[str, str, int]]


def _gpus(sysfs: str, dev: str) -> List[_Gpu]:
    """Those whose render node this container has, in the order of these nodes, which is HIP's."""
    found: Dict[int, str] = {}
    for node in glob.glob(os.path.join(glob.escape(sysfs), "class/drm/renderD[0-9]*")):
        name, directory = os.path.basename(node), os.path.join(node, "device")
        # sysfs shows all cards of the node in each container. The device node under /dev is what
        # the device plugin gives to it, and what HIP counts.
        ours = os.path.exists(os.path.join(dev, "dri", name))
        driven = os.path.exists(os.path.join(directory, "mem_info_vram_total"))
        if ours and driven and _read(directory, "vendor") == AMD:
            found[int(name[len("renderD") :])] = directory
    return [_gpu(found[number]) for number in sorted(found)]


def _gpu(directory: str) -> _Gpu:
    # Older cards have none: then there is no uuid, and no selector but the index.
    serial = _read(directory, "unique_id")
    return _Gpu(
        uuid=_uuid(serial, _read(directory, "device")),
        name=_read(directory, "product_name"),
        selector="GPU-" + serial.upper(),
        files=list(_files(directory)) + list(_thermometer(directory)),
    )


def _files(directory: str) -> Iterator[Tuple[str, str, int]]:
    for name, patterns, units in FILES:
        found = [path for pattern in patterns for path in _match(directory, pattern)]
        if found:
            yield name, found[0], units


def _thermometer(directory: str) -> Iterator[Tuple[str, str, int]]:
    sensors = {}
    # Reversed, so that of two sensors of one label the first stays in the table.
    for path in reversed(_match(directory, "hwmon/hwmon*/temp*_input")):
        stem = path[: -len("_input")]
        sensors[_read(stem + "_label")] = path
    for label in SENSORS + tuple(sensors):
        if label in sensors:
            yield "temperature_celsius", sensors[label], 1000
            return


def _match(directory: str, pattern: str) -> List[str]:
    return sorted(glob.glob(os.path.join(glob.escape(directory), pattern)))


def _uuid(serial: str, device: str) -> str:
    """As amd-smi and AMD's exporter print it: amdsmi_uuid_gen() of ROCm, for a whole GPU."""
    try:
        number, model = int(serial, 16), int(device, 16)
    except ValueError:
        return ""
    high, low = divmod(number, 1 << 48)
    return "%02xff%04x-0000-1000-80%02x-%012x" % (high >> 8, model, high & 0xFF, low)


def _visible(gpus: List[_Gpu], environ: Mapping[str, str]) -> List[_Gpu]:
    """What ROCr leaves of all, and HIP of that."""
    # Two filters, one after the other: HIP's indices count what ROCr has left. Set to nothing, the
    # variable of ROCr hides all GPUs; to HIP it is as if it were not set.
    rocr = environ.get("ROCR_VISIBLE_DEVICES")
    if rocr is not None:
        gpus = _chosen(gpus, rocr.upper())
    hip = environ.get("HIP_VISIBLE_DEVICES") or environ.get("CUDA_VISIBLE_DEVICES")
    return _chosen(gpus, hip.upper()) if hip else gpus


def _chosen(gpus: List[_Gpu], wanted: str) -> List[_Gpu]:
    by_index = {str(index): gpu for index, gpu in enumerate(gpus)}
    by_selector = {gpu.selector: gpu for gpu in gpus}
    return visible_devices.chosen(
        wanted, lambda entry: by_index.get(entry) or visible_devices.by_uuid(entry, by_selector)
    )


def _read(*parts: str) -> str:
    """Content of a file of one line; empty where there is none, or the device does not answer."""
    # A file of sysfs opens and then fails to be read (EINVAL, EBUSY, EPERM) while the card sleeps
    # or is being reset. That value is missing, and no other.
    try:
        with open(os.path.join(*parts), encoding="utf-8") as file:
            return file.read().strip()
    except (OSError, ValueError):
        return ""


def _number(path: str) -> Optional[int]:
    text = _read(path)
    return int(text) if text.isdigit() else None
