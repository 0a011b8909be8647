# SPDX-License-Identifier: Apache-2.0
"""Trees of files shaped as amdgpu's part of sysfs."""

import pytest
from primus_lens_hook import contract
from primus_lens_hook.system import amd

UUID = "ccff74a1-0000-1000-80e0-c6d49f5b0d86"  # as AMD's exporter was seen to print it
SERIALS = ["cce0c6d49f5b0d86", "91ee7b68b869c2f7", "551c58461786bea3"]
WHOLE = {
    "util": 85,
    "uuid": UUID,
    "name": "AMD Instinct MI300X OAM",
    "memory_used_bytes": 20000,
    "memory_total_bytes": 206141652992,
    "power_watts": 312.5,
    "temperature_celsius": 61.0,
    "sm_clock_hertz": 2100000000,
    "memory_clock_hertz": 1300000000,
}
FILES = {
    "vendor": "0x1002",
    "device": "0x74a1",
    "product_name": "AMD Instinct MI300X OAM",
    "gpu_busy_percent": "85",
    "mem_info_vram_used": "20000",
    "mem_info_vram_total": "206141652992",
    "hwmon/hwmon3/power1_average": "312500000",
    "hwmon/hwmon3/temp1_label": "edge",
    "hwmon/hwmon3/temp1_input": "40000",
    "hwmon/hwmon3/temp2_label": "junction",
    "hwmon/hwmon3/temp2_input": "61000",
    "hwmon/hwmon3/temp3_label": "mem",
    "hwmon/hwmon3/temp3_input": "50000",
    "hwmon/hwmon3/freq1_input": "2100000000",
    "hwmon/hwmon3/freq2_input": "1300000000",
}


class Machine:
    """Its cards' directories lie where the bus has them; the render nodes point there."""

    def __init__(self, root):
        self.root = root
        self.write("dev/kfd")

    def write(self, path, text=""):
        (self.root / path).parent.mkdir(parents=True, exist_ok=True)
        (self.root / path).write_text(text + "\n")

    def add(self, node, **files):
        directory = f"sys/devices/pci0000:00/{node}"
        for name, text in {**FILES, **files}.items():
            if text is not None:
                self.write(f"{directory}/{name}", text)
        link = self.root / f"sys/class/drm/renderD{node}/device"
        link.parent.mkdir(parents=True)
        link.symlink_to(self.root / directory)
        self.write(f"dev/dri/renderD{node}")

    def find(self, **environ):
        return amd.find(str(self.root / "sys"), str(self.root / "dev"), environ)

    def read(self, **environ):
        """The first GPU's values."""
        sample = self.find(**environ).read()
        assert all(name.startswith("gpu_0_") for name in sample)
        return {name[len("gpu_0_") :]: value for name, value in sample.items()}

    def seen(self, **environ):
        """The GPUs in their order, by the ends of their UUIDs."""
        source = self.find(**environ)
        sample = source.read() if source else {}
        uuids = [text for name, text in sample.items() if name.endswith("_uuid")]
        assert uuids == [sample[f"gpu_{index}_uuid"] for index in range(len(uuids))]
        return "".join(uuid[-1] for uuid in uuids)


@pytest.fixture
def machine(tmp_path):
    return Machine(tmp_path)


@pytest.fixture
def three(machine):
    """Cards whose UUIDs end in 6, 7 and 3; nodes sort as numbers."""
    for node, serial in zip((1000, 128, 200), (SERIALS[2], *SERIALS[:2]), strict=True):
        machine.add(node, unique_id=serial)
    return machine


def test_each_value_has_its_unit(machine):
    machine.add(128, unique_id=SERIALS[0])
    assert machine.read() == WHOLE
    assert set(WHOLE) < set(contract.SAMPLE_OF_GPU)


@pytest.mark.parametrize(
    ("file", "text", "value", "expected"),
    [
        ("gpu_busy_percent", None, "util", None),
        ("gpu_busy_percent", "", "util", None),
        ("gpu_busy_percent", "N/A", "util", None),
        ("gpu_busy_percent", "-1", "util", None),
        ("unique_id", None, "uuid", None),
        ("product_name", "", "name", None),
        ("hwmon/hwmon3/power1_average", None, "power_watts", None),
        ("hwmon/hwmon3/temp2_label", None, "temperature_celsius", 40.0),
        ("hwmon/hwmon3/temp2_input", None, "temperature_celsius", 40.0),
        ("hwmon/hwmon3/freq2_input", None, "memory_clock_hertz", None),
    ],
)
def test_what_a_device_does_not_offer_is_left_out(machine, file, text, value, expected):
    machine.add(128, **{"unique_id": SERIALS[0], file: text})
    whole = {**WHOLE, value: expected}
    assert machine.read() == {name: value for name, value in whole.items() if value is not None}


@pytest.mark.parametrize("average", [None, "312500000"])
def test_power_is_the_average_where_there_is_one(machine, average):
    files = {"hwmon/hwmon3/power1_average": average, "hwmon/hwmon3/power1_input": "300000000"}
    machine.add(128, **files)
    assert machine.read()["power_watts"] == (312.5 if average else 300.0)


def test_a_thermometer_without_a_name_is_better_than_none(machine):
    names = {f"hwmon/hwmon3/temp{number}_label": None for number in (1, 2, 3)}
    machine.add(128, **names, **{"hwmon/hwmon3/temp2_input": None})
    assert machine.read()["temperature_celsius"] == 40.0


def test_a_device_that_vanishes_spoils_no_other(three):
    source = three.find()
    for file in FILES:
        (three.root / f"sys/devices/pci0000:00/128/{file}").unlink()
    sample = source.read()
    assert "gpu_0_util" not in sample
    assert sample["gpu_1_util"] == sample["gpu_2_util"] == 85


@pytest.mark.parametrize(
    ("environ", "seen"),
    [
        ({}, "673"),
        ({"HIP_VISIBLE_DEVICES": "2,0"}, "36"),
        ({"CUDA_VISIBLE_DEVICES": "2,0"}, "36"),
        ({"HIP_VISIBLE_DEVICES": "1", "CUDA_VISIBLE_DEVICES": "0"}, "7"),
        ({"HIP_VISIBLE_DEVICES": ""}, "673"),
        ({"HIP_VISIBLE_DEVICES": "1,7,0"}, "7"),
        ({"HIP_VISIBLE_DEVICES": "-1"}, ""),
        ({"HIP_VISIBLE_DEVICES": "1,1"}, ""),
        ({"HIP_VISIBLE_DEVICES": "GPU-91ee7b68b869c2f7"}, "7"),
        ({"ROCR_VISIBLE_DEVICES": ""}, ""),
        ({"ROCR_VISIBLE_DEVICES": "GPU-91EE7B68B869C2F7,GPU-cce0c6d49f5b0d86"}, "76"),
        ({"ROCR_VISIBLE_DEVICES": "1,2", "HIP_VISIBLE_DEVICES": "1"}, "3"),
        ({"ROCR_VISIBLE_DEVICES": "1,2", "HIP_VISIBLE_DEVICES": "2"}, ""),
    ],
)
def test_indices_are_those_of_hip(three, environ, seen):
    assert three.seen(**environ) == seen


def test_a_card_that_the_container_was_not_given_is_not_seen(three):
    (three.root / "dev/dri/renderD200").unlink()
    assert three.seen() == "63"
    assert three.seen(HIP_VISIBLE_DEVICES="1") == "3"


@pytest.mark.parametrize(
    "lacking", [{"vendor": "0x10de"}, {"vendor": None}, {"mem_info_vram_total": None}]
)
def test_a_card_of_others_is_not_counted(machine, lacking):
    machine.add(128, **lacking)
    machine.add(129, unique_id=SERIALS[0])
    assert machine.seen() == "6"


def test_a_machine_without_rocm_is_no_source(machine):
    assert machine.find() is None
    machine.add(128)
    (machine.root / "dev/kfd").unlink()
    assert machine.find() is None
