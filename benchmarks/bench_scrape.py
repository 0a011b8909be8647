# SPDX-License-Identifier: Apache-2.0
"""Rendering the page: ours, prometheus-client's collector and gauges, node_exporter's textfile.

All serve the same series. Ours and prometheus-client's are timed as one call in this process;
node_exporter, which reads and parses the page from a file at each scrape, as one HTTP request
with gzip, as a Prometheus makes it, with ours beside it, whose values change before each.
Then: what a series costs in memory, and whether the cost stays linear up to 500,000.
"""

import contextlib
import gc
import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

from primus_lens_exporter.app import keep_freed_memory
from primus_lens_exporter.model.quota import Quota
from primus_lens_exporter.model.series_rules import SeriesRules
from primus_lens_exporter.reading.decode import decode
from primus_lens_exporter.series.store import Store
from prometheus_client import CollectorRegistry, Gauge, generate_latest
from prometheus_client.core import GaugeMetricFamily
from records import write

KEYS = 10
NAMES = ["namespace", "pod", "container", "node", "node_rank", "local_rank", "run_id", "key"]


def identity(rank):
    """As in a cluster."""
    node = rank // 8
    pod = f"llama-pretrain-worker-{node}"
    return ["training", pod, "trainer", f"node-{node:04}", str(node), str(rank % 8)]


class Holder:
    path = ""
    quota = history_quota = Quota(10**9, "none")

    def dropped(self, reason, _):
        raise AssertionError(reason)

    def logged(self, _run_id):
        return 1


def filled(series):
    """Our store with so many of one family, as it is after reading them from files."""
    store, holder = Store(SeriesRules()), Holder()
    store.caught_up(holder)
    for rank in range(series // KEYS):
        labels = tuple(zip(NAMES, identity(rank), strict=False))
        data = {f"train/metric_{key}": rank / (key + 3) for key in range(KEYS)}
        line = {"timestamp": 1.7e9, "data": data, "run": f"run{rank:05}"}
        store.take(labels, decode(json.dumps(line).encode()).records, {}, holder)
    return store


def metric(store):
    """The family that has as many series as the others are asked for."""
    return next(each for each in store.families if each.name == "primus_lens_wandb_metric")


def gauges(series):
    """What an exporter has that knows nothing better: one Gauge with a child for each."""
    registry = CollectorRegistry()
    gauge = Gauge("primus_lens_wandb_metric", "Newest value.", NAMES, registry=registry)
    for rank in range(series // KEYS):
        for key in range(KEYS):
            labels = [*identity(rank), f"run{rank:05}", f"train/metric_{key}"]
            gauge.labels(*labels).set(rank / (key + 3))
    return registry


class Collector:
    """What one writes with prometheus-client for values that come from elsewhere."""

    def __init__(self, series):
        self.rows = [
            ([*identity(rank), f"run{rank:05}", f"train/metric_{key}"], rank / (key + 3))
            for rank in range(series // KEYS)
            for key in range(KEYS)
        ]

    def collect(self):
        family = GaugeMetricFamily("primus_lens_wandb_metric", "Newest value.", labels=NAMES)
        for labels, value in self.rows:
            family.add_metric(labels, value)
        yield family


def best(call, times):
    seconds = []
    for _ in range(times):
        started = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - started)
    return min(seconds)


def against_prometheus_client(series, goal):
    store = filled(series)
    own, collector = gauges(series), CollectorRegistry()
    collector.register(Collector(series))
    family = metric(store)
    ours = best(lambda: list(family.parts()), 20)
    theirs = best(lambda: generate_latest(own), 3)
    faster = best(lambda: generate_latest(collector), 3)
    rendered[series] = ours
    print(f"{series} series rendered")
    print(f"  prometheus-client's Gauge      {theirs * 1e3:9.2f} ms")
    print(f"  prometheus-client's collector  {faster * 1e3:9.2f} ms")
    print(f"  ours                           {ours * 1e3:9.2f} ms")
    print(f"  ratio                          1/{theirs / ours:.0f}, 1/{faster / ours:.0f}", end="")
    print(f" (goal ≤ 1/{goal})")


def memory_of_a_series(ours, series):
    """Resident bytes that each series adds, in a process that does nothing else."""
    if ours:
        before = resident()
        store = filled(series)
        made = len(store)
    else:
        before, made = resident(), series
        registry = gauges(series)
        assert registry is not None  # alive
    print((resident() - before) / made)


def resident():
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def against_gauges(series):
    def measure(ours):
        command = [sys.executable, __file__, "--memory", str(int(ours)), str(series)]
        return float(subprocess.run(command, check=True, capture_output=True).stdout)

    ours, theirs = measure(True), measure(False)
    print(f"memory of a series, of {series}")
    print(f"  prometheus-client's Gauge  {theirs:7.0f} B")
    print(f"  ours, all families         {ours:7.0f} B (goal ≤ 350 B)")
    print(f"  ratio                      1/{theirs / ours:.1f}")


def fetch(url):
    request = urllib.request.Request(url, headers={"Accept-Encoding": "gzip"})
    with urllib.request.urlopen(request, timeout=30) as response:
        return response.read()


@contextlib.contextmanager
def serving(command, url):
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    try:
        for _ in range(100):
            with contextlib.suppress(OSError):
                fetch(url)
                break
            time.sleep(0.1)
        yield
    finally:
        process.terminate()
        process.wait()


def port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def scrape(command, url, before=lambda: None):
    """Median milliseconds of one scrape over HTTP."""
    with serving(command, url):
        time.sleep(2)
        seconds = []
        for _ in range(25):
            before()
            time.sleep(0.4)
            seconds.append(best(lambda: fetch(url), 1))
    return statistics.median(seconds) * 1e3


def against_textfile(series):
    program = shutil.which("prometheus-node-exporter") or shutil.which("node_exporter")
    if program is None:
        print("node_exporter is not installed: apt-get install prometheus-node-exporter")
        return
    with tempfile.TemporaryDirectory() as directory:
        write(f"{directory}/records", series // KEYS, 1, KEYS)
        growing = next(Path(directory, "records").rglob("*.jsonl"))
        line = growing.read_bytes()

        def log():
            with growing.open("ab") as file:
                file.write(line)

        text = Path(directory, "text")
        text.mkdir()
        (text / "training.prom").write_bytes(b"".join(metric(filled(series)).parts()))
        mine, their = port(), port()
        listen = f"--web.listen-address=127.0.0.1:{their}"
        flags = ["--collector.disable-defaults", "--collector.textfile"]
        flags += [f"--collector.textfile.directory={text}", "--web.disable-exporter-metrics"]
        theirs = scrape([program, listen, *flags], f"http://127.0.0.1:{their}/metrics")
        command = [sys.executable, "-m", "primus_lens_cli", "exporter", "--records.path"]
        command += [f"{directory}/records", f"--web.listen-address=127.0.0.1:{mine}"]
        ours = scrape(command, f"http://127.0.0.1:{mine}/metrics", log)
    print(f"{series} series scraped over HTTP")
    print(f"  node_exporter textfile  {theirs:9.2f} ms")
    print(f"  ours, all families      {ours:9.2f} ms")
    print(f"  ratio                   1/{theirs / ours:.0f} (goal ≤ 1/150)")


def main():
    keep_freed_memory()  # both sides of the comparison gain by it
    against_prometheus_client(10_000, 150)
    against_prometheus_client(100_000, 50)
    against_prometheus_client(500_000, 50)
    each = {series: seconds / series * 1e9 for series, seconds in rendered.items()}
    print("slope: " + ", ".join(f"{ns:.0f} ns a series of {count}" for count, ns in each.items()))
    against_gauges(100_000)
    against_textfile(10_000)


rendered = {}

if __name__ == "__main__":
    if "--memory" in sys.argv:
        memory_of_a_series(bool(int(sys.argv[2])), int(sys.argv[3]))
    else:
        main()
