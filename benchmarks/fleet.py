# SPDX-License-Identifier: Apache-2.0
"""Many nodes, each with an exporter of its own, and what they cost those who scrape them.

A Prometheus, a VictoriaMetrics and a Prometheus as an agent, which sends to another Prometheus,
scrape all of them at once.
"""

import contextlib
import dataclasses
import time

from nodes import Node
from one_node import Disk, logging
from receivers import scraping, start_agent, start_prometheus, start_victoria_metrics

RANKS, KEYS = 8, 200
SCRAPE_SECONDS = 2
SETTLE_SECONDS = 15


@dataclasses.dataclass
class Cost:
    """Of one receiver; memory in bytes a series, CPU in seconds a sample."""

    name: str
    series: float
    rate: float
    memory: float
    cpu: float


@dataclasses.dataclass
class Fleet:
    """What was measured; bytes of the log and CPU of a start are for each sample."""

    nodes: int
    costs: list[Cost]
    disk: Disk
    log: float
    replay: float


def measure(directory, api, count, seconds, progress):
    nodes = [node(directory / f"node-{number}", api, number) for number in range(count)]
    with contextlib.ExitStack() as stack:
        urls = []
        for each in nodes:
            urls.append(stack.enter_context(each.exporter())[1])
            progress(f"{len(urls)} of {count} exporters run")
        stack.enter_context(logging(nodes, SCRAPE_SECONDS))
        costs, disk, log, samples = watch(
            directory, scraping(urls, SCRAPE_SECONDS), seconds, progress
        )
    progress("Prometheus starts again")
    replay = cpu_of_start(directory / "prometheus") - cpu_of_start(directory / "empty")
    return Fleet(count, costs, disk, log, replay / samples)


def cpu_of_start(directory):
    """Seconds until a Prometheus with this data is ready."""
    with start_prometheus(directory, {}) as prometheus:
        return prometheus.cpu()


def node(directory, api, number):
    directory.mkdir()
    return Node(directory, api, number, RANKS, KEYS)


def watch(directory, config, seconds, progress):
    """What each costs, and what the Prometheus has on its disk."""
    with contextlib.ExitStack() as stack:
        prometheus = stack.enter_context(start_prometheus(directory / "prometheus", config))
        behind = stack.enter_context(start_prometheus(directory / "behind", {}))
        victoria = stack.enter_context(start_victoria_metrics(directory / "victoria", config))
        empty = {type(each): each.memory() for each in (behind, victoria)}
        agent = stack.enter_context(start_agent(directory / "agent", config, behind.write_url))
        receivers = {
            "Prometheus, scraping": prometheus,
            "Prometheus, behind the agent": behind,
            "Prometheus as an agent": agent,
            "VictoriaMetrics, scraping": victoria,
        }
        time.sleep(SETTLE_SECONDS)
        before = {name: (each.cpu(), each.samples()) for name, each in receivers.items()}
        highest = peaks(receivers, seconds, progress)
        costs = [
            cost(name, each, before[name], highest[name] - empty.get(type(each), 0), seconds)
            for name, each in receivers.items()
        ]
        samples, series = prometheus.samples(), prometheus.series()
        log = prometheus.write_ahead_log() / samples
        progress("Prometheus writes a block")
        data, index = prometheus.disk()
        return costs, Disk(data / samples, index / series), log, samples


def peaks(receivers, seconds, progress):
    """The most memory of each in this time."""
    highest, started = dict.fromkeys(receivers, 0), time.monotonic()
    while (passed := time.monotonic() - started) < seconds:
        for name, each in receivers.items():
            highest[name] = max(highest[name], each.memory())
        progress(f"{passed:.0f} of {seconds} seconds of scraping")
        time.sleep(1)
    return highest


def cost(name, receiver, before, memory, seconds):
    used, more = receiver.cpu() - before[0], receiver.samples() - before[1]
    series = receiver.series()
    return Cost(name, series, more / seconds, memory / series, used / more)
