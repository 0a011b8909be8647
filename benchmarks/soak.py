# SPDX-License-Identifier: Apache-2.0
"""A node at work: 64 pods of 8 ranks, five lines a second each, for ten minutes.

Files are rotated and the oldest deleted, pods end (their volume is deleted 0.9 s after the last
line, as the kubelet does it) and others start, and the Kubernetes API is away for a minute now
and then. Prints lines written and lines read, which must be the same, what reading cost, and the
longest scrape meanwhile.

usage: python benchmarks/soak.py [SECONDS]
"""

import json
import os
import random
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
import uuid
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from support.api_server import ApiServer, pod

PODS, RANKS, RATE = 64, 8, 5.0
ROTATE_LINES, SEGMENTS = 100, 3
POD_SECONDS = 30, 180  # between these a pod lives
OUTAGE_SECONDS, OUTAGE_EVERY = 60, 150
KUBELET_SECONDS = 0.9
OBJECT_SECONDS = 120
TICK = os.sysconf("SC_CLK_TCK")
FAMILY = "primus_lens_exporter_"


class Rank:
    """Writes as the hook does: one write a line, rotation by renaming."""

    def __init__(self, directory):
        self.directory = directory
        directory.mkdir(parents=True)
        self.step, self.number = 0, 0
        self.fd = self.open()

    def open(self):
        path = self.directory / "wandb_metrics.jsonl"
        return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    def write(self):
        if self.step and self.step % ROTATE_LINES == 0:
            self.rotate()
        data = {f"train/metric_{key}": random.random() for key in range(10)}
        record = {"timestamp": time.time(), "step": self.step, "data": data, "run": "soak"}
        os.write(self.fd, json.dumps(record, separators=(",", ":")).encode() + b"\n")
        self.step += 1

    def rotate(self):
        os.close(self.fd)
        self.number += 1
        current = self.directory / "wandb_metrics.jsonl"
        current.rename(self.directory / f"wandb_metrics.{self.number}.jsonl")
        oldest = self.directory / f"wandb_metrics.{self.number - SEGMENTS}.jsonl"
        oldest.unlink(missing_ok=True)
        self.fd = self.open()


class Pod:
    """A pod on the kubelet's disk and in the API, until its time is over."""

    def __init__(self, kubelet, api):
        self.api = api
        self.uid = str(uuid.uuid4())
        api.put(pod(f"train-{self.uid[:8]}", self.uid))
        self.root = kubelet / "pods" / self.uid
        volume = self.root / "volumes/kubernetes.io~empty-dir/primus-lens-records"
        self.ranks = [Rank(volume / f"node_0/rank_{local}") for local in range(RANKS)]
        self.ends = time.monotonic() + random.uniform(*POD_SECONDS)

    def end(self):
        for rank in self.ranks:
            os.close(rank.fd)
        later(KUBELET_SECONDS, self.clean_up)
        return sum(rank.step for rank in self.ranks)

    def clean_up(self):
        shutil.rmtree(self.root, ignore_errors=True)
        later(OBJECT_SECONDS, self.api.remove, self.uid)  # as a finished Job's


def later(seconds, call, *arguments):
    timer = threading.Timer(seconds, call, arguments)
    timer.daemon = True
    timer.start()


class Exporter:
    def __init__(self, kubelet, kubeconfig):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            where = f"127.0.0.1:{probe.getsockname()[1]}"
        self.url = f"http://{where}/metrics"
        command = [sys.executable, "-m", "primus_lens_cli", "exporter", "--log.level", "error"]
        command += ["--records.kubelet-root", kubelet, "--kubernetes.node-name", "n1"]
        environ = {**os.environ, "KUBECONFIG": str(kubeconfig)}
        self.process = subprocess.Popen([*command, "--web.listen-address", where], env=environ)
        self.longest = 0.0

    def page(self):
        started = time.perf_counter()
        with urllib.request.urlopen(self.url, timeout=60) as response:
            text = response.read().decode()
        self.longest = max(self.longest, time.perf_counter() - started)
        return {
            name: float(value)
            for name, value in (
                line.rsplit(" ", 1) for line in text.splitlines() if line.startswith(FAMILY)
            )
        }

    def lines(self):
        page = self.page()
        return int(sum(value for name, value in page.items() if "_lines_total" in name))

    def cpu(self):
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICK

    def rss(self):
        pages = Path(f"/proc/{self.process.pid}/statm").read_text().split()[1]
        return int(pages) * os.sysconf("SC_PAGE_SIZE") / 1e6


def outages(api, over):
    while not over.wait(OUTAGE_EVERY - OUTAGE_SECONDS):
        api.stop()
        over.wait(OUTAGE_SECONDS)
        api.start()


def train(kubelet, api, exporter, seconds):
    """Write until the time is over; returns the lines written."""
    pods, written, turn = [Pod(kubelet, api) for _ in range(PODS)], 0, 0
    started = shown = time.monotonic()
    while (now := time.monotonic()) < started + seconds:
        for index, each in enumerate(pods):
            if now >= each.ends:
                written += each.end()
                pods[index] = Pod(kubelet, api)
        for each in pods:
            for rank in each.ranks:
                rank.write()
        if now - shown > 15:  # as often as a Prometheus scrapes
            shown = now
            page = exporter.page()
            tick = page[FAMILY + "tick_duration_seconds"]
            done, rss = now - started, exporter.rss()
            print(f"  {done:4.0f} s  {rss:6.1f} MB  tick {tick * 1e3:.0f} ms", file=sys.stderr)
        turn += 1
        time.sleep(max(0.0, started + turn / RATE - time.monotonic()))
    return written + sum(each.end() for each in pods)


def main():
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 600.0
    with tempfile.TemporaryDirectory() as directory, ApiServer() as api:
        kubelet = Path(directory, "kubelet")
        (kubelet / "pods").mkdir(parents=True)
        exporter = Exporter(kubelet, api.kubeconfig(Path(directory)))
        over = threading.Event()
        away = threading.Thread(target=outages, args=(api, over))
        try:
            time.sleep(3)
            away.start()
            before = exporter.cpu()
            written = train(kubelet, api, exporter, seconds)
            used = exporter.cpu() - before
            over.set()
            away.join()
            deadline = time.monotonic() + 120
            while (read := exporter.lines()) != written and time.monotonic() < deadline:
                time.sleep(1)
            print(f"{PODS * RANKS} files, {seconds:.0f} s")
            print(f"  lines written {written}, lines read {read}")
            print(f"  CPU {used / seconds:.1%} of a core, {used / written * 1e6:.1f} µs a line")
            print(f"  longest scrape {exporter.longest * 1e3:.0f} ms, {exporter.rss():.1f} MB")
        finally:
            over.set()
            exporter.process.terminate()
            exporter.process.wait()
    return int(read != written)


if __name__ == "__main__":
    sys.exit(main())
