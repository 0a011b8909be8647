# SPDX-License-Identifier: Apache-2.0
"""The container's own numbers, in real cgroups where this machine has the controllers.

Version 2 comes with its CPU time alone where the controllers are version 1's, so its limits
are read from trees of files made as the kernel's documentation of cgroup v2 describes them.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from primus_lens_hook.system import cgroup

MIB = 1 << 20
V1 = Path("/sys/fs/cgroup")
CONTROLLERS = ("memory", "cpu", "cpuacct")
READ = """
import json, sys, time
from primus_lens_hook.system import cgroup
source = cgroup.find()
started, began = time.monotonic(), source and source.read()
held = bytearray(30 << 20)
while time.monotonic() < started + 0.5: pass
ended, last = time.monotonic(), source and source.read()
print(json.dumps([source and source.name, ended - started, began, last]))
"""
BOUND = "for c in memory cpu cpuacct; do mount --bind $V1/$c/$GROUP $V1/$c; done"
OWN = "for c in memory cpu cpuacct; do umount $V1/$c; mount -t cgroup -o $c cgroup $V1/$c; done"
SEEN = {  # as a container may see its cgroup: which namespaces, and what is mounted in them
    "the host's tree": ([], ":"),
    "its own directory, as in Docker": (["unshare", "--mount"], BOUND),
    "a namespace of cgroups": (["unshare", "--mount", "--cgroup"], OWN),
}


@pytest.fixture
def groups():
    """A cgroup of version 1 within another, of all controllers; yields the inner one's name."""
    name = f"primus-lens-test-{os.getpid()}"
    made = [V1 / c / name / part for c in CONTROLLERS for part in ("", "inner")]
    try:
        for directory in made:
            directory.mkdir()
    except OSError:
        pytest.skip("no cgroups of version 1 can be made here")
    try:
        yield f"{name}/inner"
    finally:
        for directory in reversed(made):
            directory.rmdir()


def limit(group, **limits):
    for name, value in limits.items():
        controller = name.partition("_")[0]
        (V1 / controller / group / name.replace("_", ".", 1)).write_text(str(value))


def inside(group, namespaces, mounts, script=READ):
    """What a Python prints in a cgroup."""
    enter = "; ".join(f"echo $$ > {V1}/{c}/{group}/cgroup.procs" for c in CONTROLLERS)
    shell = ["sh", "-ec", f'{mounts}; exec "$@"', "sh", sys.executable, "-c", script]
    command = ["sh", "-ec", f'{enter}; exec "$@"', "sh", *namespaces, *shell]
    environ = {**os.environ, "V1": str(V1), "GROUP": group}
    done = subprocess.run(command, capture_output=True, text=True, env=environ)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("seen", SEEN.values(), ids=SEEN)
def test_limits_and_use_are_the_containers_own(groups, seen):
    limit(groups, memory_limit_in_bytes=64 * MIB, cpu_cfs_quota_us=50_000)
    name, seconds, began, ended = inside(groups, *seen)
    assert name == "cgroup1"
    assert ended["container_memory_limit_bytes"] == 64 * MIB
    assert ended["container_cpu_limit_cores"] == 0.5
    used = ended["container_memory_used_bytes"]
    assert 30 * MIB < used < 64 * MIB
    assert 20 * MIB < used - began["container_memory_used_bytes"] < 35 * MIB
    assert ended["sys_memory_percent"] == pytest.approx(100 * used / (64 * MIB))
    busy = ended["container_cpu_seconds_total"] - began["container_cpu_seconds_total"]
    assert 0 < busy <= seconds
    assert ended["sys_cpu_percent"] == pytest.approx(100 * busy / seconds / 0.5, rel=0.05)


def test_the_smallest_limit_of_the_parents_that_are_seen_counts(groups):
    limit(os.path.dirname(groups), memory_limit_in_bytes=64 * MIB, cpu_cfs_quota_us=150_000)
    limit(groups, memory_limit_in_bytes=96 * MIB)
    _, _, _, whole = inside(groups, *SEEN["the host's tree"])
    _, _, _, own = inside(groups, *SEEN["its own directory, as in Docker"])
    assert whole["container_memory_limit_bytes"] == 64 * MIB
    assert own["container_memory_limit_bytes"] == 96 * MIB
    assert whole["container_cpu_limit_cores"] == 1.5
    assert "container_cpu_limit_cores" not in own


def test_no_limit_leaves_the_percentages_to_the_node(groups):
    limit(groups, memory_limit_in_bytes=1 << 50)
    _, _, _, ended = inside(groups, *SEEN["the host's tree"])
    assert sorted(ended) == ["container_cpu_seconds_total", "container_memory_used_bytes"]


def test_version_2_without_controllers_has_the_cpu_time(tmp_path):
    """In a real cgroup of version 2, with those of version 1 out of sight."""
    mounts = [line.split() for line in Path("/proc/mounts").read_text().splitlines()]
    points = [point for _, point, kind, *_ in mounts if kind == "cgroup2"]
    group = Path(*points[:1]) / f"primus-lens-test-{os.getpid()}"
    try:
        group.mkdir()
    except OSError:
        pytest.skip("no cgroup of version 2 can be made here")
    enter = f"echo $$ > {group}/cgroup.procs; for c in memory cpu cpuacct; do "
    away = enter + f'test ! -d {V1}/$c || umount {V1}/$c; done; exec "$@"'
    try:
        command = ["unshare", "--mount", "sh", "-ec", away, "sh", sys.executable, "-c", READ]
        done = subprocess.run(command, capture_output=True, text=True)
    finally:
        group.rmdir()
    assert done.returncode == 0, done.stderr
    name, seconds, began, ended = json.loads(done.stdout)
    assert name == "cgroup2"
    busy = ended["container_cpu_seconds_total"] - began["container_cpu_seconds_total"]
    assert 0 < busy <= seconds + 0.01


def test_a_process_in_no_cgroup_of_its_own(tmp_path):
    """The roots of all hierarchies count for the node."""
    lines = "".join(f"{n}:{c}:/\n" for n, c in enumerate([*CONTROLLERS, ""]))
    (tmp_path / "cgroup").write_text(lines)
    (tmp_path / "mountinfo").write_text(Path("/proc/self/mountinfo").read_text())
    assert cgroup.find(str(tmp_path)) is None


POD = {  # of version 2, from the cgroup of a pod's container up
    "cri-c0ffee.scope": {
        "memory.max": "8589934592\n",
        "memory.current": "2147483648\n",
        "memory.stat": "anon 1000000000\nfile 1100000000\ninactive_file 1073741824\n",
        "cpu.max": "max 100000\n",
        "cpu.stat": "usage_usec 7500000\nuser_usec 7000000\nsystem_usec 500000\n",
    },
    "kubepods-podaf.slice": {
        "memory.max": "4294967296\n",
        "memory.current": "2150000000\n",
        "cpu.max": "50000 100000\n",
        "cpu.stat": "usage_usec 8000000\n",
    },
    "kubepods.slice": {
        "memory.max": "max\n",
        "memory.current": "1\n",
        "cpu.max": "max 100000\n",
        "cpu.stat": "usage_usec 1\n",
    },
}


def unified(tmp_path, levels, path, root):
    """A mounted tree of the innermost `levels` of the pod, and a process in it."""
    point = directory = tmp_path / "sys fs cgroup"
    for name, files in reversed(list(POD.items())[:levels]):
        directory = directory / name if directory.exists() else directory
        directory.mkdir()
        common = {"cgroup.type": "domain\n", "cgroup.controllers": "cpu memory\n"}
        for file, text in {**common, **files}.items():
            (directory / file).write_text(text)
    (tmp_path / "cgroup").write_text(f"0::{path}\n")
    mounted = str(point).replace(" ", "\\040")
    line = f"29 22 0:26 {root} {mounted} ro,nosuid shared:4 - cgroup2 cgroup rw,nsdelegate\n"
    (tmp_path / "mountinfo").write_text("22 1 8:1 / / rw - ext4 /dev/sda1 rw\n" + line)
    return cgroup.find(str(tmp_path))


WHOLE = "/kubepods.slice/kubepods-podaf.slice/cri-c0ffee.scope"


@pytest.mark.parametrize(
    ("levels", "path", "root", "memory", "cores"),
    [
        (1, "/", "/", 8 << 30, None),  # a namespace of cgroups, as pods have it
        (1, WHOLE, WHOLE, 8 << 30, None),  # without one
        (1, "/", WHOLE, 8 << 30, None),  # of two minds about it
        (3, WHOLE.removeprefix("/kubepods.slice"), "/", 4 << 30, 0.5),
        (3, WHOLE, "/kubepods.slice", 4 << 30, 0.5),
    ],
)
def test_version_2(tmp_path, monkeypatch, levels, path, root, memory, cores):
    monkeypatch.setattr(os, "cpu_count", lambda: 64)
    source = unified(tmp_path, levels, path, root)
    sample = source.read()
    assert source.name == "cgroup2"
    assert sample["container_memory_used_bytes"] == 1 << 30
    assert sample["container_memory_limit_bytes"] == memory
    assert sample["sys_memory_percent"] == 100 * (1 << 30) / memory
    assert sample.get("container_cpu_limit_cores") == cores
    assert sample["container_cpu_seconds_total"] == 7.5
    assert ("sys_cpu_percent" in sample) == (cores is not None)


@pytest.mark.parametrize(("path", "root"), [("/", "/../../.."), ("/../other", "/")])
def test_version_2_outside_of_the_namespace_is_not_the_containers(tmp_path, path, root):
    assert unified(tmp_path, 1, path, root) is None


def test_a_namespace_over_the_hosts_tree_hides_the_containers_own(groups):
    assert inside(groups, ["unshare", "--mount", "--cgroup"], ":")[0] is None
