# SPDX-License-Identifier: Apache-2.0
"""Rendering the page: ours, prometheus-client's collector, node_exporter's textfile.

All three serve the same series. Ours and prometheus-client's are timed as one call in this
process; node_exporter, which reads and parses the page from a file at each scrape, as one
HTTP request, with ours beside it over HTTP.
"""

import contextlib
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
from primus_lens_exporter.decode import Record
from primus_lens_exporter.store import Store
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily
from records import write

KEYS = 10
NAMES = ["namespace", "pod", "container", "node", "node_rank", "local_rank", "run_id", "key"]


def identity(rank):
    """As in a cluster."""
    node = rank // 8
    pod = f"llama-pretrain-worker-{node}"
    return ["training", pod, "trainer", f"node-{node:04}", str(node), str(rank % 8)]


def filled(series):
    store = Store()
    for rank in range(series // KEYS):
        labels = tuple(zip(NAMES, identity(rank), strict=False))
        data = {f"train/metric_{key}": rank / (key + 3) for key in range(KEYS)}
        store.apply(labels, [Record(1.7e9, data, rank, f"run{rank:05}")], rank)
    return store


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
    registry = CollectorRegistry()
    registry.register(Collector(series))
    ours = best(lambda: b"".join(store.metric.pieces()), 20)
    theirs = best(lambda: generate_latest(registry), 3)
    print(f"{series} series rendered")
    print(f"  prometheus-client  {theirs * 1e3:9.2f} ms")
    print(f"  ours               {ours * 1e3:9.2f} ms")
    print(f"  ratio              1/{theirs / ours:.0f} (goal ≤ 1/{goal})")


def fetch(url):
    with urllib.request.urlopen(url, timeout=30) as response:
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


def scrape(command, url):
    """Median milliseconds of one scrape over HTTP."""
    with serving(command, url):
        time.sleep(2)
        seconds = []
        for _ in range(15):
            seconds.append(best(lambda: fetch(url), 1))
            time.sleep(0.1)
    return statistics.median(seconds) * 1e3


def against_textfile(series):
    program = shutil.which("prometheus-node-exporter") or shutil.which("node_exporter")
    if program is None:
        print("node_exporter is not installed: apt-get install prometheus-node-exporter")
        return
    with tempfile.TemporaryDirectory() as directory:
        write(f"{directory}/records", series // KEYS, 1, KEYS)
        text = Path(directory, "text")
        text.mkdir()
        (text / "training.prom").write_bytes(b"".join(filled(series).metric.pieces()))
        mine, their = port(), port()
        listen = f"--web.listen-address=127.0.0.1:{their}"
        flags = ["--collector.disable-defaults", "--collector.textfile"]
        flags += [f"--collector.textfile.directory={text}", "--web.disable-exporter-metrics"]
        theirs = scrape([program, listen, *flags], f"http://127.0.0.1:{their}/metrics")
        command = [sys.executable, "-m", "primus_lens_cli", "exporter", "--records.path"]
        command += [f"{directory}/records", f"--web.listen-address=127.0.0.1:{mine}"]
        ours = scrape(command, f"http://127.0.0.1:{mine}/metrics")
    print(f"{series} series scraped over HTTP")
    print(f"  node_exporter textfile  {theirs:9.2f} ms")
    print(f"  ours, all families      {ours:9.2f} ms")
    print(f"  ratio                   1/{theirs / ours:.0f}")


def main():
    keep_freed_memory()  # both sides of the comparison gain by it
    against_prometheus_client(10_000, 100)
    against_prometheus_client(100_000, 50)
    against_textfile(10_000)


if __name__ == "__main__":
    main()
