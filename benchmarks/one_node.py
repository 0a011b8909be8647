# SPDX-License-Identifier: Apache-2.0
"""What one node costs: its page, and the receivers that scrape it or are sent to."""

import contextlib
import dataclasses
import statistics
import threading
import time

from bench_ingest import lines
from nodes import Node, fetch, until
from receivers import (
    cpu,
    memory,
    scraping,
    start_prometheus,
    start_victoria_metrics,
)

SECONDS = 15.0  # between two lines of the history
NO_TARGETS = {"scrape_configs": []}


@dataclasses.dataclass
class Page:
    """What the exporter serves; CPU in seconds a scrape, after a value has changed."""

    series: int
    plain: int
    gzipped: int
    cpu_plain: float
    cpu_gzipped: float
    memory: int


@dataclasses.dataclass
class Disk:
    """Bytes a sample, and of the index a series."""

    samples: float
    index: float


@dataclasses.dataclass
class Sent:
    """What a receiver has of remote write."""

    memory: int
    disk: Disk


def page(node, process, url, scrapes):
    costs = {"identity": [], "gzip": []}
    for _ in range(scrapes):
        node.log(1)
        time.sleep(0.4)
        for encoding, seconds in costs.items():
            before = cpu(process.pid)
            fetch(url, encoding)
            time.sleep(0.02)  # what it does behind the response
            seconds.append(cpu(process.pid) - before)
    plain, gzipped = map(statistics.median, costs.values())
    sizes = [len(fetch(url, encoding)) for encoding in costs]
    series = int(lines(url, "primus_lens_exporter_series"))
    return Page(series, *sizes, plain, gzipped, memory(process.pid))


def scraped(node, url, directory, seconds):
    """Bytes of a Prometheus that scrapes the node each second, and its CPU a sample."""
    start = start_prometheus(directory / "scraping", scraping([url], 1))
    with logging([node], 1), start as prometheus:
        until(lambda: prometheus.samples() > 0)
        time.sleep(2)  # its series are known
        before, had = prometheus.cpu(), prometheus.samples()
        time.sleep(seconds)
        used, more = prometheus.cpu() - before, prometheus.samples() - had
        return prometheus.memory(), used / more


@contextlib.contextmanager
def logging(nodes, seconds):
    """Each rank logs so often."""
    over = threading.Event()

    def log():
        while not over.wait(seconds):
            for node in nodes:
                node.log()

    thread = threading.Thread(target=log)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def sent(node, directory):
    """The node's whole history by remote write to both receivers at once."""
    samples = node.written * (node.keys + 1)  # the step is one
    with contextlib.ExitStack() as stack:
        receivers = [
            stack.enter_context(start(directory / start.__name__, NO_TARGETS))
            for start in (start_prometheus, start_victoria_metrics)
        ]
        for each in receivers:
            stack.enter_context(sender(node, each))
        until(lambda: all(each.samples() >= samples for each in receivers))
        return [state(each, samples) for each in receivers]


def sender(node, receiver):
    spool = receiver.directory / "spool"
    return node.exporter(
        "--remote-write.url", receiver.write_url, "--remote-write.spool-directory", spool
    )


def state(receiver, samples):
    held, series = receiver.memory(), receiver.series()  # before it merges
    data, index = receiver.disk()
    return Sent(held, Disk(data / samples, index / series))


def measure(directory, api, ranks, keys, history, scrapes):
    """Its page, the cost of who scrapes it, and of a Prometheus and a VictoriaMetrics sent to."""
    node = Node(directory, api, 0, ranks, keys, history, seconds=SECONDS)
    sends = sent(node, directory)
    with node.exporter() as (process, url):
        served = page(node, process, url, scrapes)
        return served, scraped(node, url, directory, scrapes), *sends
