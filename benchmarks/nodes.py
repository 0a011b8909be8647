# SPDX-License-Identifier: Apache-2.0
"""Nodes of a cluster, for benchmarks: pods of eight ranks whose records grow, and an exporter.

The pods lie where the kubelet keeps them and are known to an API server, so that the series have
the labels that they have in a cluster.
"""

import contextlib
import itertools
import json
import os
import random
import sys
import time
import urllib.request
from pathlib import Path

from bench_ingest import lines, port
from bench_remote_write import running
from records import FILE, float32, line, write

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from support.kubelet import Kubelet

RANKS_PER_POD = 8
RUN = {
    "project": "pretrain",
    "entity": "research",
    "name": "llama-8b-baseline",
    "group": "llama-8b",
    "mode": "online",
    "world_size": 64,
    "step_fix": {"logs": 1, "conflicts": 0, "dropped": 0, "flushes": 0},
}


class Node:
    """`ranks` ranks of one training; each has `history` lines, and gets more by `log`."""

    def __init__(self, directory, api, number, ranks, keys, history=1, value=float32, seconds=1.0):
        self.name, self.keys, self.value = f"gpu-node-{number:05}", keys, value
        self.directory = directory
        self.written = 0
        self.rng = random.Random(number)
        self.kubeconfig = api.kubeconfig(directory)
        kubelet = Kubelet(directory / "kubelet", api)
        for first in range(0, ranks, RANKS_PER_POD):
            name = f"llama-pretrain-worker-{number * 8 + first // RANKS_PER_POD}"
            volume = kubelet.start(name, namespace="research", node=self.name)
            count = min(RANKS_PER_POD, ranks - first)
            self.written += write(volume, count, history, keys, value, seconds)
        self.files = sorted(directory.rglob(FILE))
        for rank, file in enumerate(self.files):
            run = {f"run{rank % RANKS_PER_POD:05}": {**RUN, "start": 1.7e9}}
            (file.parent / "wandb_runs.json").write_text(json.dumps(run))

    def log(self, ranks=None):
        """One log call of each rank, or of the first ones."""
        for rank, file in enumerate(self.files[:ranks]):
            text = line(self.rng, self.written, time.time(), self.keys,
                        f"run{rank % RANKS_PER_POD:05}", self.value)  # fmt: skip
            with file.open("ab") as growing:
                growing.write(text)
            self.written += 1

    @contextlib.contextmanager
    def exporter(self, *flags):
        """The node's exporter, as soon as it has read everything; its process and its page."""
        where = f"127.0.0.1:{port()}"
        command = [sys.executable, "-m", "primus_lens_cli", "exporter", "--log.level", "error"]
        command += ["--records.kubelet-root", self.directory / "kubelet"]
        command += ["--kubernetes.node-name", self.name, "--web.listen-address", where, *flags]
        environ = {**os.environ, "KUBECONFIG": str(self.kubeconfig)}
        with running(command, env=environ) as process:
            url = f"http://{where}/metrics"
            until(lambda: self.has_read(process, url))
            yield process, url

    def has_read(self, process, url):
        assert process.poll() is None, "the exporter ended"
        with contextlib.suppress(OSError):
            return lines(url, 'primus_lens_exporter_lines_total{result="ok"}') == self.written
        return False


def until(condition, seconds=300):
    """Wait for a condition."""
    for turn in itertools.count():
        if condition():
            return
        assert turn < seconds * 5, "waited in vain"
        time.sleep(0.2)


def fetch(url, encoding="identity"):
    """The body as it came."""
    request = urllib.request.Request(url, headers={"Accept-Encoding": encoding})
    with urllib.request.urlopen(request, timeout=60) as response:
        return response.read()
