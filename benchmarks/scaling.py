# SPDX-License-Identifier: Apache-2.0
"""What a node and many nodes cost a Prometheus: the tables of docs/scaling.md.

One node after another with each number of ranks and keys: its page, a Prometheus that scrapes it,
a Prometheus and a VictoriaMetrics that get its history by remote write. Then what the kind of
values does to the disk. Then as many nodes as this machine carries, and from these what 1,000 and
10,000 nodes would need.
"""

import argparse
import sys
import tempfile
from pathlib import Path

import fleet
import one_node
import receivers
from nodes import Node
from records import constant, double, float32

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from support.api_server import ApiServer

INTERVAL = 30  # seconds between scrapes, in what is reckoned
MOST_SAMPLES = 5_000_000  # of one node's history
EPILOG = """\
It needs what `make receivers` brings, 5 GB of memory and 2 GB of disk, and takes a quarter of an
hour. CPU is what the kernel counted for the processes, so that others on the machine change
little. Numbers of one machine are compared with numbers of the same run alone.

  python benchmarks/scaling.py --quick                  two minutes, and rough
  python benchmarks/scaling.py --ranks 8 --keys 50,500  other nodes
"""


def numbers(text):
    return [int(each) for each in text.split(",")]


def parse(arguments=None):
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--ranks", type=numbers, default=[1, 8, 64], metavar="N,…",
                        help="ranks of a node (default: 1,8,64)")  # fmt: skip
    parser.add_argument("--keys", type=numbers, default=[20, 200, 2000], metavar="N,…",
                        help="keys of a rank (default: 20,200,2000)")  # fmt: skip
    parser.add_argument("--quick", action="store_true",
                        help="two numbers of each, few lines and scrapes, 4 exporters")  # fmt: skip
    return parser.parse_args(arguments)


def progress(text):
    """One line on stderr, which the next one takes the place of on a terminal."""
    if sys.stderr.isatty():
        print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)
    elif text:
        print(text, file=sys.stderr)


def row(*cells):
    progress("")
    print("| " + " | ".join(map(str, cells)) + " |", flush=True)


def header(*names):
    print()
    row(*names)
    row(*["--:"] * len(names))


def small_bytes(count):
    return f"{count / 1e6:,.1f} MB" if count > 1e6 else f"{count / 1e3:,.1f} kB"


def one_by_one(api, ranks, keys, history, scrapes):
    """The page and both receivers, for each number of ranks and keys."""
    pages, received = [], []
    for count in ranks:
        for width in keys:
            progress(f"a node of {count} ranks with {width} keys")
            with tempfile.TemporaryDirectory() as name:
                lines = min(history, MOST_SAMPLES // (count * width))
                page, scraping, *sent = one_node.measure(
                    Path(name), api, count, width, lines, scrapes
                )
            pages.append((count, width, page))
            received.append((count, width, page.series, scraping, sent))
    show_pages(pages)
    show_received(received)


def show_pages(pages):
    header("ranks", "keys", "series", "a scrape, plain", "gzipped", "CPU of it, plain", "gzipped",
           f"samples/s at {INTERVAL} s", "memory of the exporter")  # fmt: skip
    for ranks, keys, page in pages:
        row(ranks, f"{keys:,}", f"{page.series:,}", small_bytes(page.plain),
            small_bytes(page.gzipped), f"{page.cpu_plain * 1e3:.1f} ms",
            f"{page.cpu_gzipped * 1e3:.1f} ms", f"{page.series / INTERVAL:,.0f}",
            small_bytes(page.memory))  # fmt: skip


def show_received(received):
    header("ranks", "keys", "series", "Prometheus scrapes: memory", "CPU a sample",
           "Prometheus is sent to: memory", "disk a sample", "VictoriaMetrics is sent to: memory",
           "disk a sample")  # fmt: skip
    for ranks, keys, series, (memory, cpu), sent in received:
        cells = [text for each in sent for text in (small_bytes(each.memory), disk(each.disk))]
        row(ranks, f"{keys:,}", f"{series:,}", small_bytes(memory), f"{cpu * 1e6:.1f} µs", *cells)


def disk(of):
    return f"{of.samples:.1f} B + {of.index:.0f} B a series"


def kinds_of_values(api, history):
    """Disk a sample by what is logged."""
    header("values", "Prometheus", "VictoriaMetrics")
    for value in (constant, float32, double):
        progress(f"values: {value.__name__}")
        with tempfile.TemporaryDirectory() as name:
            node = Node(Path(name), api, 0, 8, 50, history, value, one_node.SECONDS)
            sent = one_node.sent(node, Path(name))
        row(value.__name__, *(disk(each.disk) for each in sent))


def many(api, count, seconds):
    with tempfile.TemporaryDirectory() as name:
        result = fleet.measure(Path(name), api, count, seconds, progress)
    header(f"{count} nodes", "series", "samples/s", "memory a series", "CPU a sample")
    for each in result.costs:
        row(each.name, f"{each.series:,.0f}", f"{each.rate:,.0f}", f"{each.memory:,.0f} B",
            f"{each.cpu * 1e6:.1f} µs")  # fmt: skip
    print(f"\nA block: {disk(result.disk)}. The log: {result.log:.1f} B a sample. A start reads it")
    print(f"with {result.replay * 1e6:.2f} µs of CPU a sample.")
    extrapolate(result)


def extrapolate(result):
    """One Prometheus, by what was measured."""
    scraping = result.costs[0]
    header("nodes", "series", "samples/s", "memory", "CPU", "disk a day", "log of 3 h", "a start")
    for nodes in (1_000, 10_000):
        series = scraping.series / result.nodes * nodes
        rate = series / INTERVAL
        log = rate * 3 * 3600
        row(f"{nodes:,}", f"{series / 1e6:.2f} M", f"{rate / 1e3:,.0f} k",
            f"{series * scraping.memory / 1e9:.1f} GB", f"{rate * scraping.cpu:.2f} cores",
            f"{rate * 86400 * result.disk.samples / 1e9:,.0f} GB",
            f"{log * result.log / 1e9:,.0f} GB",
            f"{log * result.replay / 60:,.0f} min")  # fmt: skip


def main():
    options = parse()
    if absent := receivers.missing():
        sys.exit(f"scaling.py: {', '.join(absent)} is not there: `make receivers`")
    history, scrapes, nodes, seconds = (20, 3, 4, 20) if options.quick else (120, 10, 40, 250)
    most = 2 if options.quick else None
    with ApiServer() as api:
        one_by_one(api, options.ranks[:most], options.keys[:most], history, scrapes)
        kinds_of_values(api, history)
    with ApiServer() as api:
        many(api, nodes, seconds)


if __name__ == "__main__":
    main()
