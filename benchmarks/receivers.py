# SPDX-License-Identifier: Apache-2.0
"""Real receivers for benchmarks, and what they cost: Prometheus 3, its agent, VictoriaMetrics.

Memory is what a process has allocated (RssAnon): pages of files can be taken away from it.
"""

import contextlib
import json
import re
import shutil
import time
import urllib.request
from pathlib import Path

from bench_ingest import port
from bench_remote_write import prometheus, running
from nodes import fetch, until

BROUGHT = Path.home() / ".cache" / "primus-lens" / "receivers"
VICTORIA_METRICS = BROUGHT / "victoria-metrics"
PROMETHEUS = BROUGHT / "prometheus"
YEARS = "50y"


class Receiver:
    """A process that takes samples, and its page."""

    def __init__(self, process, number, directory):
        self.pid, self.directory = process.pid, directory
        self.url = f"http://127.0.0.1:{number}"
        self.write_url = f"{self.url}/api/v1/write"

    def metric(self, name, labels=""):
        """A number of its page, summed over all series that have these labels."""
        text = fetch(f"{self.url}/metrics").decode()
        found = re.findall(rf"^{name}(?:\{{.*{labels}.*\}})? (\S+)$", text, re.MULTILINE)
        return sum(map(float, found))

    def cpu(self):
        """Seconds that all its threads have used, those that have ended too."""
        return cpu(self.pid)

    def memory(self):
        """Bytes."""
        return memory(self.pid)


class Prometheus(Receiver):
    def samples(self):
        return self.metric("prometheus_tsdb_head_samples_appended_total")

    def series(self):
        return self.metric("prometheus_tsdb_head_series")

    def disk(self):
        """Bytes of a block of all that it has: of the samples, and of the index."""
        url = f"{self.url}/api/v1/admin/tsdb/snapshot"
        with urllib.request.urlopen(urllib.request.Request(url, method="POST"), timeout=300):
            pass
        snapshot = self.directory / "data" / "snapshots"
        return size(snapshot, "*/*/chunks/*"), size(snapshot, "*/*/index")

    def write_ahead_log(self):
        """Its bytes."""
        return size(self.directory / "data" / "wal", "**/*")


class Agent(Receiver):
    def samples(self):
        return self.metric("prometheus_agent_samples_appended_total")

    def series(self):
        return self.metric("prometheus_agent_active_series")


class VictoriaMetrics(Receiver):
    def samples(self):
        return self.metric("vm_rows_inserted_total")

    def series(self):
        return self.metric("vm_new_timeseries_created_total")

    def disk(self):
        """Bytes of what it has merged: of the samples, and of the index."""
        for path in ("/internal/force_flush", "/internal/force_merge"):
            fetch(self.url + path)
        time.sleep(1)
        until(lambda: self.metric("vm_active_force_merges") == 0)
        kinds = ("storage/", "indexdb/")
        return tuple(self.metric("vm_data_size_bytes", f'type="{each}') for each in kinds)


def scraping(urls, seconds):
    """The configuration of one who scrapes these pages so often; their paths are /metrics."""
    targets = [url.removeprefix("http://").removesuffix("/metrics") for url in urls]
    job = {
        "job_name": "primus-lens",
        "honor_labels": True,
        "static_configs": [{"targets": targets}],
    }
    return {"global": {"scrape_interval": f"{seconds}s"}, "scrape_configs": [job]}


@contextlib.contextmanager
def start_prometheus(directory, config):
    number = port()
    flags = ["--web.enable-remote-write-receiver", "--web.enable-admin-api"]
    flags += [f"--storage.tsdb.path={directory / 'data'}", f"--storage.tsdb.retention.time={YEARS}"]
    with prometheus(directory, number, config, *flags, program=PROMETHEUS) as process:
        yield Prometheus(process, number, directory)


@contextlib.contextmanager
def start_agent(directory, config, write_url):
    number = port()
    config = {**config, "remote_write": [{"url": write_url}]}
    flags = ["--agent", f"--storage.agent.path={directory / 'data'}"]
    with prometheus(directory, number, config, *flags, program=PROMETHEUS) as process:
        yield Agent(process, number, directory)


@contextlib.contextmanager
def start_victoria_metrics(directory, config):
    directory.mkdir()
    (directory / "scrape.yml").write_text(json.dumps(config))
    number = port()
    command = [VICTORIA_METRICS, f"-storageDataPath={directory / 'data'}"]
    command += [f"-httpListenAddr=127.0.0.1:{number}", f"-retentionPeriod={YEARS}"]
    command += [f"-promscrape.config={directory / 'scrape.yml'}"]
    with running(command) as process:
        receiver = VictoriaMetrics(process, number, directory)
        until(lambda: answers(receiver.url))
        yield receiver


def answers(url):
    with contextlib.suppress(OSError):
        return fetch(f"{url}/health")


def size(directory, pattern):
    return sum(path.stat().st_size for path in directory.glob(pattern) if path.is_file())


def cpu(pid):
    """CPU seconds of a process, by the kernel's clock for it: see clock_getcpuclockid(3)."""
    return time.clock_gettime((~pid << 3) | 2)


def memory(pid):
    status = Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"^RssAnon:\s+(\d+) kB", status, re.MULTILINE)[1]) * 1024


def missing():
    """What is not there of what is needed."""
    return [str(each) for each in (PROMETHEUS, VICTORIA_METRICS) if shutil.which(each) is None]
