# SPDX-License-Identifier: Apache-2.0
"""What is said of the node and of the process's tree, by psutil and by /proc, is so."""

import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st
from primus_lens_hook.system.host import Host, Sums
from primus_lens_hook.system.proc import Proc
from primus_lens_hook.system.psutil_source import Psutil


@pytest.fixture(params=[lambda: Psutil(psutil), Proc], ids=["psutil", "proc"])
def host(request):
    return Host(request.param())


@pytest.fixture
def child():
    """A process of this one's tree; it ends when its input does."""
    work = "sum(range(20_000_000)); print(flush=True); sys.stdin.read()"
    command = [sys.executable, "-c", f"import sys; {work}"]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, **pipes) as process:
        process.stdout.readline()
        yield process
        process.stdin.close()


def memory_of(tree):
    return sum(process.memory_info().rss for process in tree)


def test_the_numbers_are_those_of_another_reading(host, child):
    """Within 5 % of the node's memory, 0.2 s of CPU, 1 % or 2 MiB of the tree, 2 descriptors."""
    me = psutil.Process()
    tree = [me, *me.children(recursive=True)]
    ours, memory = host.read(), psutil.virtual_memory()
    near = {
        "node_memory_total_bytes": (memory.total, 0),
        "node_memory_used_bytes": (memory.total - memory.available, memory.total * 0.05),
        "sys_memory_percent": (memory.percent, 5),
        "process_count": (len(tree), 0),
        "process_threads": (sum(p.num_threads() for p in tree), 0),
        "process_open_fds": (sum(p.num_fds() for p in tree), 2),
        "process_cpu_seconds_total": (sum(sum(p.cpu_times()[:2]) for p in tree), 0.2),
        "process_resident_memory_bytes": (memory_of(tree), max(2 << 20, memory_of(tree) * 0.01)),
        "process_read_bytes_total": (sum(p.io_counters().read_bytes for p in tree), 1 << 20),
        "process_written_bytes_total": (sum(p.io_counters().write_bytes for p in tree), 1 << 20),
    }
    for name, (expected, within) in near.items():
        assert ours[name] == pytest.approx(expected, abs=within, rel=0), name


def test_traffic_and_disks_are_those_of_another_reading(host):
    """Not through loopback, and no disk twice; other processes may use them meanwhile."""
    names = [d.name for d in Path("/sys/block").iterdir() if (d / "device").exists()]
    disks = [
        counters
        for name, counters in psutil.disk_io_counters(perdisk=True).items()
        if name in names
    ]
    nets = [
        counters for name, counters in psutil.net_io_counters(pernic=True).items() if name != "lo"
    ]
    ours = host.read()
    read = ours.get("node_disk_read_bytes_total", 0)
    assert read == pytest.approx(sum(each.read_bytes for each in disks), rel=0.05)
    received = ours.get("sys_network_receive_bytes_total", 0)
    assert received == pytest.approx(sum(each.bytes_recv for each in nets), rel=0.05, abs=1 << 20)


def test_an_ended_childs_seconds_stay(host, child):
    before = host.read()
    child.stdin.close()
    child.wait()
    after = host.read()
    assert after["process_count"] == before["process_count"] - 1
    assert after["process_cpu_seconds_total"] >= before["process_cpu_seconds_total"]
    assert after["process_resident_memory_bytes"] < before["process_resident_memory_bytes"]


def test_the_nodes_cpu_is_never_above_100_percent(host, monkeypatch):
    last_busy, last_time = host._last
    times = last_busy + 0.31, last_time + 0.3  # the two are sums of floats
    monkeypatch.setattr(host._system, "cpu_times", lambda: times)
    assert host.read()["node_cpu_percent"] == 100


def test_the_nodes_cpu_is_a_share_of_all_its_cpus(host):
    host.read()
    started = psutil.cpu_times()
    sum(range(60_000_000))
    ours, ended = host.read(), psutil.cpu_times()
    whole, idle = (sum(ended[:8]) - sum(started[:8])), ended.idle - started.idle
    assert 0 < ours["node_cpu_percent"] <= 100
    expected = 100 * (1 - (idle + ended.iowait - started.iowait) / whole)
    assert ours["node_cpu_percent"] == pytest.approx(expected, abs=25)  # ticks of 10 ms


amounts = st.dictionaries(st.sampled_from(["read_total", "written_total"]), st.integers(0, 99))
parts = st.dictionaries(st.integers(0, 3), amounts, max_size=3)


@given(st.lists(parts))
def test_sums_of_what_comes_and_goes_never_fall(readings):
    sums, last = Sums(), {}
    for reading in readings:
        now = sums.of(reading)
        assert all(now[name] >= value for name, value in last.items())
        last = now


@given(st.lists(st.dictionaries(st.integers(0, 3), st.integers(1, 9), max_size=4)))
def test_sums_count_each_part_once(steps):
    """Each part's counter grows by so much from step to step, while it is there."""
    sums, counters, grown, now = Sums(), {}, 0, {}
    for step in steps:
        counters = {key: counters.get(key, 0) + more for key, more in step.items()}
        grown += sum(step.values())
        now = sums.of({key: {"x_total": value} for key, value in counters.items()})
        assert now.get("x_total", 0) == grown


def test_sums_of_fractions_do_not_fall_by_a_bit():
    sums = Sums()
    parts = {n: {"x_total": value} for n, value in enumerate([0.1, 0.2, 0.3])}
    assert sums.of(parts) == sums.of(dict(reversed(parts.items()))) == sums.of({})
