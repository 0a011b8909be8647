# SPDX-License-Identifier: Apache-2.0
"""NVIDIA's own bindings on a library of ours with NVML's ABI, and on the GPUs of this machine."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import primus_lens_hook
import pytest
from primus_lens_hook import contract
from primus_lens_hook.system import nvidia

HERE = Path(__file__).parent
READ = """
import json
from primus_lens_hook.system import nvidia
source = nvidia.find()
print(json.dumps(source and source.read()))
"""
WHOLE = {
    "util": 85,
    "uuid": "GPU-08932f93-d72c-4106-c12f-20bd9faed9f6",
    "name": "NVIDIA H100",
    "memory_used_bytes": 20000,
    "memory_total_bytes": 80000,
    "power_watts": 312.5,
    "temperature_celsius": 61,
    "sm_clock_hertz": 1980000000,
    "memory_clock_hertz": 2619000000,
    "ecc_errors_total": 3,
    "xid_errors_total": 0,
}
FIRST, SECOND = WHOLE["uuid"], "GPU-18932f93-d72c-4106-c12f-20bd9faed9f6"
SLICES = [f"MIG-0{slot}8a3c7-0000-5000-8000-20bd9faed9f6" for slot in (0, 2)]


@pytest.fixture(scope="session")
def library(tmp_path_factory):
    """The directory that holds it."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        pytest.skip("no C compiler on this machine")
    directory = tmp_path_factory.mktemp("nvml")
    target = directory / "libnvidia-ml.so.1"
    warn = ["-Wall", "-Wextra", "-Werror"]
    command = [compiler, *warn, "-shared", "-fPIC", "-o", target, HERE / "fake_nvml.c"]
    subprocess.run(command, check=True)
    return directory


@pytest.fixture
def run(library):
    """What a program prints that finds the library, as the environment steers it."""

    def run(program=READ, **environ):
        path = str(Path(primus_lens_hook.__file__).parents[1])
        kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        environ = {"PYTHONPATH": path, "LD_LIBRARY_PATH": str(library), **kept, **environ}
        command = [sys.executable, "-W", "error", "-c", program]
        done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=60)
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout

    return run


@pytest.fixture
def read(run):
    """The sample, by the index of the GPU and the name of the value; None: no source."""

    def read(**environ):
        sample = json.loads(run(**environ))
        return sample and by_gpu(sample)

    return read


def by_gpu(sample):
    gpus = {}
    for key, value in sample.items():
        _, index, name = key.split("_", 2)
        assert name in contract.SAMPLE_OF_GPU
        gpus.setdefault(int(index), {})[name] = value
    return gpus


def uuids(gpus):
    return gpus and [gpus[index]["uuid"] for index in range(len(gpus))]


def test_each_value_has_its_unit(read):
    second = {"util": 86, "uuid": SECOND, "memory_total_bytes": 79999}
    assert read() == {0: WHOLE, 1: {**WHOLE, **second}}
    assert set(WHOLE) == set(contract.SAMPLE_OF_GPU)


@pytest.mark.parametrize(
    ("wanted", "seen"),
    [
        ("0", [FIRST]),
        ("1,0", [SECOND, FIRST]),
        (" 1 , 0 ", [SECOND, FIRST]),
        ("1,7,0", [SECOND]),
        ("1,-1,0", [SECOND]),
        ("1,,0", [SECOND]),
        ("", None),
        ("NoDevFiles", None),
        ("0,0", None),
        (SECOND, [SECOND]),
        ("GPU-18", [SECOND]),
        ("GPU-", None),
        ("GPU-18,GPU-0", [SECOND, FIRST]),
        ("18932f93", None),
    ],
)
def test_indices_are_those_of_cuda(read, wanted, seen):
    assert uuids(read(CUDA_VISIBLE_DEVICES=wanted)) == seen


def test_no_wish_at_all_is_not_one_for_the_only_gpu(read):
    assert read(FAKE_GPUS="1", CUDA_VISIBLE_DEVICES="") is None


@pytest.mark.parametrize(
    ("wanted", "seen"),
    [
        (None, [*SLICES, SECOND]),
        ("0", SLICES[:1]),
        ("1,0", [SECOND, SLICES[0]]),
        (SLICES[1], SLICES[1:]),
        ("MIG-02", SLICES[1:]),
        (FIRST, SLICES[:1]),
    ],
)
def test_slices_stand_in_for_their_gpu(read, wanted, seen):
    environ = {} if wanted is None else {"CUDA_VISIBLE_DEVICES": wanted}
    assert uuids(read(FAKE_SLICED="0", **environ)) == seen


def test_a_slice_has_memory_and_a_name_alone(read):
    memory = {"memory_used_bytes": 20000, "memory_total_bytes": 80000}
    of_slice = {"uuid": SLICES[0], "name": "NVIDIA H100 MIG 1g.10gb", **memory}
    assert read(FAKE_SLICED="0")[0] == of_slice


@pytest.mark.parametrize(
    ("call", "lacks"),
    [
        ("nvmlDeviceGetUtilizationRates", {"util"}),
        ("nvmlDeviceGetPowerUsage", {"power_watts"}),
        ("nvmlDeviceGetTotalEccErrors", {"ecc_errors_total"}),
        ("nvmlDeviceGetClockInfo", {"sm_clock_hertz", "memory_clock_hertz"}),
        ("nvmlDeviceGetName", {"name"}),
        ("nvmlDeviceGetUUID", {"uuid"}),
        ("nvmlEventSetCreate", {"xid_errors_total"}),
        ("nvmlDeviceRegisterEvents", {"xid_errors_total"}),
        ("nvmlDeviceGetMigMode", set()),
        ("nvmlDeviceGetTemperature,nvmlDeviceGetTemperatureV", {"temperature_celsius"}),
    ],
)
def test_what_the_driver_does_not_offer_is_left_out(read, call, lacks):
    gpus = read(FAKE_UNSUPPORTED=call)
    assert [set(WHOLE) - set(gpus[index]) for index in (0, 1)] == [lacks, lacks]


def test_an_older_driver_counts_what_it_reserves(read):
    assert read(FAKE_UNSUPPORTED="nvmlDeviceGetMemoryInfo_v2")[0]["memory_used_bytes"] == 30000


def test_the_newer_thermometer_serves_where_the_older_is_gone(read):
    assert read(FAKE_UNSUPPORTED="nvmlDeviceGetTemperature")[0]["temperature_celsius"] == 62


def test_a_gpu_that_is_lost_spoils_no_other(read):
    gpus = read(FAKE_LOST="0", FAKE_XIDS="0")
    assert set(gpus[0]) == {"uuid", "name"}
    assert gpus[1] == read()[1]


def test_a_gpu_that_gets_lost_still_tells_its_xids(run):
    lose = 'import ctypes; ctypes.CDLL(None).setenv(b"FAKE_LOST", b"0", 1)'
    program = READ.replace("print", f"{lose}\nprint", 1)
    gpus = by_gpu(json.loads(run(program, FAKE_XIDS="0")))
    assert gpus[0] == {"uuid": FIRST, "name": WHOLE["name"], "xid_errors_total": 3}
    assert gpus[1]["util"] == 86


def test_a_gpu_that_cannot_be_reached_leaves_the_others_their_indices(read):
    assert uuids(read(FAKE_UNREACHABLE="0", CUDA_VISIBLE_DEVICES="1")) == [SECOND]
    assert read(FAKE_UNREACHABLE="0", CUDA_VISIBLE_DEVICES="0") is None


def test_xids_are_counted_since_sampling_began(run):
    program = READ + "print(json.dumps(source.read()))"
    samples = [by_gpu(json.loads(line)) for line in run(program, FAKE_XIDS="1").splitlines()]
    assert [[sample[gpu]["xid_errors_total"] for gpu in (0, 1)] for sample in samples] == [
        [0, 3]
    ] * 2


@pytest.mark.parametrize("trouble", [{"FAKE_INIT": "9"}, {"FAKE_INIT": "18"}, {"FAKE_GPUS": "0"}])
def test_a_driver_that_shows_no_gpu_is_no_source(read, trouble):
    assert read(**trouble) is None


def test_without_a_driver_not_even_the_bindings_are_read(run, tmp_path):
    program = READ + "import sys; print(any('pynvml' in name for name in sys.modules))"
    # A driver of this machine would be found after an empty directory, but not after this.
    (tmp_path / nvidia.LIBRARY).write_bytes(b"no library" * 100)
    assert run(program, LD_LIBRARY_PATH=str(tmp_path)).split() == ["null", "False"]


def test_a_child_finds_its_own(run):
    fork = "import os, sys\nsys.stdout.flush()\nif os.fork(): sys.exit(os.wait()[1])\n"
    of_parent, of_child = run(READ + fork + READ).splitlines()
    assert by_gpu(json.loads(of_child)) == by_gpu(json.loads(of_parent)) != {}


@pytest.mark.parametrize("call", ["nvmlInit", "nvmlDeviceGetPowerUsage", "nvmlEventSetWait_v2"])
def test_a_call_that_hangs_holds_only_its_own_thread(run, call):
    """As the sampler does it: in a daemon thread, while the training goes on and ends."""
    program = """
import os, threading
from primus_lens_hook.system import nvidia
said, saying = os.pipe()
os.dup2(saying, 1)
threading.Thread(target=lambda: nvidia.find().read(), daemon=True).start()
os.read(said, 6)
"""
    assert run(program, FAKE_HANG=call) == ""


def real():
    if shutil.which("nvidia-smi") is None:
        pytest.skip("no NVIDIA GPU on this machine")
    fields = "uuid,name,memory.total,memory.used,power.draw,temperature.gpu,clocks.sm,clocks.mem"
    command = ["nvidia-smi", f"--query-gpu={fields}", "--format=csv,noheader,nounits"]
    shown = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return [[value.strip() for value in line.split(",")] for line in shown.splitlines()]


def near(value, shown):
    """Of the same unit, whatever the GPU has done between the two looks."""
    return 0.1 < value / float(shown) < 10


def test_a_real_gpu_is_as_nvidia_smi_shows_it():
    """Identity and size are equal; what changes by itself is near."""
    shown = real()
    environ = {**os.environ, "PYTHONPATH": str(Path(primus_lens_hook.__file__).parents[1])}
    environ.pop("CUDA_VISIBLE_DEVICES", None)
    printed = subprocess.check_output([sys.executable, "-c", READ], env=environ, text=True)
    for gpu, (uuid, name, total, used, power, degrees, sm, memory) in zip(
        by_gpu(json.loads(printed)).values(), shown, strict=True
    ):
        assert (gpu["uuid"], gpu["name"]) == (uuid, name)
        assert gpu["memory_total_bytes"] // 2**20 == int(total)
        assert gpu["memory_used_bytes"] / 2**20 == pytest.approx(float(used), abs=1024)
        assert gpu["temperature_celsius"] == pytest.approx(float(degrees), abs=15)
        assert near(gpu["power_watts"], power)
        assert near(gpu["sm_clock_hertz"] / 1e6, sm)
        assert near(gpu["memory_clock_hertz"] / 1e6, memory)
        assert 0 <= gpu["util"] <= 100
