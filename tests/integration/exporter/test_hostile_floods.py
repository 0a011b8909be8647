# SPDX-License-Identifier: Apache-2.0
"""A pod that does too much of something, beside an honest one that must not notice."""

import itertools
import json
import os

import pytest

from support.hostile import FILE, Node
from support.kubelet import rank
from support.serving import record, until

pytestmark = pytest.mark.exhaustive


@pytest.fixture
def node(tmp_path):
    with Node(tmp_path) as node:
        yield node


def append(node, data, name=FILE):
    with (rank(node.evil) / name).open("ab") as file:
        file.write(data)


def test_a_sparse_file_of_a_terabyte(node):
    for name in FILE, "wandb_runs.json":
        (rank(node.evil) / name).touch()
        os.truncate(rank(node.evil) / name, 1 << 40)
    append(node, record(loss=1))
    until(lambda: node.counted("evil") == 1)
    node.goes_on()


@pytest.mark.parametrize(
    "line",
    [record(loss=1), b"x\n", b"\n", b"x", b'{"timestamp"\n', b"\0\n"],
    ids=["records", "one byte", "empty", "one line", "torn", "NULs"],
)
def test_a_file_that_grows_without_end(node, line):
    block = line * ((1 << 20) // len(line))
    with (rank(node.evil) / FILE).open("ab", buffering=0) as file:
        node.act(lambda _: file.tell() < 2 << 30 and file.write(block))
    node.goes_on()


def bombs():
    start, end = b'{"timestamp":1,"run":"r","data":{', b"}}\n"
    yield start + b'"a":' + b"[" * 300_000 + b"]" * 300_000 + end
    yield start + b'"a":' * 200_000 + b"1" + end
    yield start + b",".join(b'"%x":1' % key for key in range(100_000)) + end
    yield start + b",".join(b'"a":%d' % key for key in range(100_000)) + end
    yield start + b'"a":' + b"9" * 1_000_000 + end
    yield start + b'"a":NaN,"b":' + b"9" * 1_000_000 + end
    yield start + b'"a":1e' + b"9" * 1_000_000 + end
    yield start + b'"a":"' + b"x" * 1_000_000 + b'"' + end
    yield start + b'"a":"' + b"\\u0000" * 160_000 + b'"' + end
    yield start + b'"' + b"x" * 1_000_000 + b'":1' + end
    yield b'{"timestamp":1,"data":{},"run":"' + b"x" * 1_000_000 + b'"}\n'
    yield b'{"timestamp":1,"data":{"a":NaN,"b":' + b"[" * 300_000 + b"]" * 300_000 + end


@pytest.mark.parametrize("number", range(12))
def test_json_that_is_costly_to_read(node, number):
    bomb = next(itertools.islice(bombs(), number, None))
    node.act(lambda times: times < 30 and append(node, bomb))
    append(node, record(loss=1))
    node.goes_on()
    until(lambda: node.counted("evil"), 45)


def test_ever_new_keys(node):
    def log(times):
        append(node, b"".join(record(**{f"{times}-{key}": 1}) for key in range(1000)))

    node.act(log)
    node.drops("keys_per_rank")
    node.goes_on()


def test_ever_new_runs(node):
    def log(times):
        append(node, b"".join(record(run=f"{times}-{run}", a=1) for run in range(1000)))

    node.act(log)
    node.drops("series_per_pod")
    node.goes_on()


def test_run_info_without_end(node):
    text = json.dumps({f"{run:x}": {} for run in range(80_000)})
    append(node, record(loss=1))

    def tell(times):
        if times < 50:
            (rank(node.evil) / f"wandb_runs.p{times}.json").write_text(text)

    node.act(tell, 5)
    node.goes_on()


def many(node, count, make):
    for number in range(count):
        make(number)
    node.goes_on()


def test_100_000_files(node):
    directory = rank(node.evil)
    many(node, 100_000, lambda n: (directory / f"wandb_metrics.p{n}.jsonl").touch())
    node.limits("directory_entries")
    node.limits("files_per_pod")


def test_100_000_links(node):
    directory = rank(node.evil)
    (directory / "wandb_metrics.p1.jsonl").touch()
    first = directory / "wandb_metrics.p1.jsonl"
    many(node, 50_000, lambda n: os.link(first, directory / f"wandb_metrics.{n}.jsonl"))
    many(node, 50_000, lambda n: os.symlink("/", directory / f"wandb_metrics.p{n + 2}.jsonl"))
    node.refuses("link")


@pytest.mark.parametrize("place", ["node_{}", "node_0/rank_{}", "c{}/node_0", "c{}/x{}"])
def test_20_000_directories(node, place):
    many(node, 20_000, lambda n: (node.evil / place.format(n, n)).mkdir(parents=True))
    node.limits("ranks_per_volume" if "rank" in place else "directory_entries")


def test_ranks_that_are_full_of_links(node):
    ranks = [rank(node.evil, local=local) for local in range(300)]
    for directory in ranks:
        for number in range(300):
            (directory / f"wandb_metrics.p{number}.jsonl").symlink_to("/")
    node.act(lambda times: (ranks[times % 300] / f"x{times}").touch())
    node.goes_on()


def test_half_a_line_in_each_of_a_thousand_files(node):
    for number in range(1000):
        append(node, b"x" * 1_000_000, f"wandb_metrics.p{number}.jsonl")
    node.act(lambda times: append(node, b"x", f"wandb_metrics.p{times % 1000}.jsonl"))
    node.limits("seconds_per_tick")
    node.goes_on()


def test_files_that_come_and_go_without_end(node):
    directory = rank(node.evil)

    def churn(times):
        (directory / f"wandb_metrics.p{times}.jsonl").write_bytes(record(loss=1))
        (directory / f"wandb_metrics.p{times - 10}.jsonl").unlink(missing_ok=True)
        (directory / "x").touch()
        (directory / "x").rename(directory / "y")

    node.act(churn)
    node.goes_on()


def test_files_that_take_each_others_names(node):
    directory = rank(node.evil)
    names = [directory / f"wandb_metrics.p{number}.jsonl" for number in range(3)]

    def churn(times):
        names[times % 3].write_bytes(record(loss=1) * (times % 5))
        names[times % 3].replace(names[(times + 1) % 3])

    node.act(churn)
    node.kubelet.remove(node.evil)
    until(lambda: node.exporter.value("primus_lens_exporter_files") == 1)
    descriptors = f"/proc/{node.exporter.process.pid}/fd"
    opened = [os.readlink(f"{descriptors}/{fd}") for fd in os.listdir(descriptors)]
    assert not [path for path in opened if path.startswith(str(node.evil))]


def test_directories_that_are_renamed_without_end(node):
    for number in range(2000):
        rank(node.evil, 0, number)
    node.act(lambda n: (node.evil / f"node_{n}").rename(node.evil / f"node_{n + 1}"), 8)
    node.goes_on()


def test_the_volume_is_renamed_and_made_anew(node):
    old = node.evil.with_name("old")

    def churn(_):
        append(node, record(loss=1))
        node.evil.rename(old)
        node.kubelet.remove(old)

    node.act(churn)
    append(node, record(run="last", loss=1))
    until(lambda: node.counted("evil", "last"), 45)
    node.goes_on()


def test_a_file_that_is_truncated_and_rewritten_without_end(node):
    path = rank(node.evil) / FILE

    def rewrite(times):
        if times % 3:
            path.write_bytes(record(step=times % 10, loss=1))
        else:
            os.truncate(path, times % 70)

    path.touch()
    node.act(rewrite)
    path.write_bytes(record(run="last", loss=1))
    until(lambda: node.counted("evil", "last"), 45)
    node.goes_on()
