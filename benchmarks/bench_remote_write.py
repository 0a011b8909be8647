# SPDX-License-Identifier: Apache-2.0
"""Remote write: CPU for each sample that a receiver has acknowledged, beside the peer's.

The peer is Prometheus as an agent, which scrapes a page each second and sends what is on it;
ours follows files to which each rank adds a line each second, of as many series. Then ours
sends a backlog. Both send to a real Prometheus, whose own CPU is not counted.
"""

import contextlib
import http.server
import itertools
import json
import random
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from pathlib import Path

from bench_ingest import cpu, port
from records import write

RANKS, LINES, KEYS = 64, 1000, 10
LIVE_KEYS, SECONDS = 109, 20
SERIES = RANKS * (LIVE_KEYS + 1)  # the step is one


@contextlib.contextmanager
def running(command, **options):
    process = subprocess.Popen(
        list(map(str, command)), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **options
    )
    try:
        yield process
    finally:
        process.terminate()
        process.wait()


@contextlib.contextmanager
def prometheus(directory, number, config, *flags, program="prometheus"):
    """A Prometheus on a port."""
    directory.mkdir(exist_ok=True)
    (directory / "prometheus.yml").write_text(json.dumps(config))
    command = [program, f"--config.file={directory / 'prometheus.yml'}"]
    command += [f"--web.listen-address=127.0.0.1:{number}", *flags]
    with running(command) as process:
        while True:
            with contextlib.suppress(OSError):
                urllib.request.urlopen(f"http://127.0.0.1:{number}/-/ready", timeout=5).close()
                break
            time.sleep(0.1)
        yield process


def appended(number):
    """Samples that the receiver has."""
    with urllib.request.urlopen(f"http://127.0.0.1:{number}/metrics", timeout=60) as page:
        text = page.read().decode()
    found = re.findall(r"^prometheus_tsdb_head_samples_appended_total\S* (\S+)", text, re.MULTILINE)
    return sum(map(float, found))


@contextlib.contextmanager
def sending(directory, receiver):
    """Ours, and the directory that it follows."""
    records = directory / "records"
    records.mkdir()
    url = f"http://127.0.0.1:{receiver}/api/v1/write"
    command = [sys.executable, "-m", "primus_lens_cli", "exporter", "--records.path", records]
    command += ["--web.listen-address", "127.0.0.1:0", "--remote-write.url", url]
    with running([*command, "--remote-write.spool-directory", directory / "spool"]) as process:
        time.sleep(3)  # started
        yield process, records


def backlog(directory, receiver):
    """CPU microseconds a sample."""
    staged = directory / "staged"
    total = write(staged, RANKS, LINES, KEYS) * (KEYS + 1)
    with sending(directory, receiver) as (process, records):
        before, had = cpu(process.pid), appended(receiver)
        for node in staged.iterdir():
            node.rename(records / node.name)
        while appended(receiver) < had + total:
            assert process.poll() is None, "ours ended"
            time.sleep(0.1)
        return (cpu(process.pid) - before) / total * 1e6


def live(directory, receiver):
    """CPU microseconds a sample, while as much is logged as the agent scrapes."""
    with sending(directory, receiver) as (process, records):
        for step in range(SECONDS + 5):
            if step == 5:  # series are known
                before, had = cpu(process.pid), appended(receiver)
            for rank in range(RANKS):
                where = records / f"node_{rank // 8}" / f"rank_{rank % 8}"
                where.mkdir(parents=True, exist_ok=True)
                data = {f"train/metric_{key}": random.random() for key in range(LIVE_KEYS)}
                record = {"timestamp": time.time(), "step": step, "data": data, "run": f"r{rank}"}
                with (where / "wandb_metrics.jsonl").open("a") as file:
                    file.write(json.dumps(record) + "\n")
            time.sleep(1)
        return (cpu(process.pid) - before) / (appended(receiver) - had) * 1e6


def page():
    lines = (f'm{{rank="{i // 100}",key="train/metric_{i % 100}"}} {random.random()}'
             for i in range(SERIES))  # fmt: skip
    return "\n".join(["# TYPE m gauge", *lines, ""]).encode()


def pages():
    """A server of a page whose values change with each scrape."""
    ready = itertools.cycle([page() for _ in range(5)])

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            text = next(ready)
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def agent(directory, receiver):
    """CPU microseconds a sample."""
    server = pages()
    target = f"127.0.0.1:{server.server_port}"
    config = {
        "global": {"scrape_interval": "1s"},
        "scrape_configs": [{"job_name": "j", "static_configs": [{"targets": [target]}]}],
        "remote_write": [{"url": f"http://127.0.0.1:{receiver}/api/v1/write"}],
    }
    flags = ["--enable-feature=agent", f"--storage.agent.path={directory / 'agent' / 'data'}"]
    with prometheus(directory / "agent", port(), config, *flags) as process:
        time.sleep(5)  # series are known
        before, had = cpu(process.pid), appended(receiver)
        while appended(receiver) < had + SERIES * SECONDS:
            assert process.poll() is None, "the agent ended"
            time.sleep(0.1)
        used, sent = cpu(process.pid) - before, appended(receiver) - had
    server.shutdown()
    return used / sent * 1e6


def main():
    if shutil.which("prometheus") is None:
        print("prometheus is not installed: apt-get install prometheus")
        return
    with tempfile.TemporaryDirectory() as name:
        directory, results = Path(name), []
        for measure in (live, agent, backlog):
            number = port()
            where = directory / measure.__name__
            where.mkdir()
            flags = ["--web.enable-remote-write-receiver", f"--storage.tsdb.path={where / 'tsdb'}"]
            flags.append("--storage.tsdb.retention.time=50y")
            with prometheus(where / "receiver", number, {}, *flags):
                results.append(measure(where, number))
                print(f"  {measure.__name__:8} {results[-1]:6.2f} µs CPU a sample", flush=True)
        mine, theirs, fast = results
        print(f"  ratio    live 1/{theirs / mine:.1f}, backlog 1/{theirs / fast:.1f}")


if __name__ == "__main__":
    main()
