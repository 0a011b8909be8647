# SPDX-License-Identifier: Apache-2.0
"""What a pod may put in the place of its files, each kind of it really made."""

import contextlib
import ctypes
import fcntl
import os
import signal
import socket
import threading

import pytest
from prometheus_client.parser import text_string_to_metric_families as parser

from support.hostile import FILE, SECRET, Node
from support.kubelet import rank
from support.serving import record, until

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="device nodes and modes need root")


@pytest.fixture
def node(tmp_path):
    with Node(tmp_path) as node:
        yield node


def link_to_a_file(node):
    (rank(node.evil) / FILE).symlink_to(rank(node.secret) / FILE)


def link_to_a_magic_link(node):
    (rank(node.evil) / FILE).symlink_to("/proc/1/root/etc/passwd")


def link_to_a_descriptor_of_ours(node):
    (rank(node.evil) / FILE).symlink_to("/proc/self/fd/3")


def hard_link_to_a_file(node):
    os.link(rank(node.secret) / FILE, rank(node.evil) / FILE)


def fifo(node):
    os.mkfifo(rank(node.evil) / FILE)


def device(node):
    os.mknod(rank(node.evil) / FILE, 0o666 | 0o020000, os.makedev(1, 5))  # /dev/zero


def block_device(node):
    os.mknod(rank(node.evil) / FILE, 0o666 | 0o060000, os.makedev(7, 0))


def bound_socket(node):
    directory = os.open(rank(node.evil), os.O_RDONLY)  # its path is too long for a socket's name
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(f"/proc/self/fd/{directory}/{FILE}")
    os.close(directory)


def directory(node):
    (rank(node.evil) / FILE).mkdir()


REFUSED = [
    (link_to_a_file, "link"),
    (link_to_a_magic_link, "link"),
    (link_to_a_descriptor_of_ours, "link"),
    (hard_link_to_a_file, "hard_link"),
    (fifo, "not_regular"),
    (device, "not_regular"),
    (block_device, "not_regular"),
    (bound_socket, "not_regular"),
    (directory, "not_regular"),
]


@pytest.mark.exhaustive
@pytest.mark.parametrize(
    ("make", "reason"), REFUSED, ids=lambda each: getattr(each, "__name__", None)
)
def test_what_is_no_file_of_the_pods_own_is_refused(node, make, reason):
    make(node)
    node.refuses(reason)
    (rank(node.evil) / "wandb_metrics.p1.jsonl").write_bytes(record(loss=1))
    until(lambda: node.counted("evil") == 1)
    node.goes_on()


LINKED = {
    "node_0/rank_0": "node_0/rank_0",
    "node_0": "node_0",
    "main": ".",
    "main/node_0": "node_0",
}


@pytest.mark.exhaustive
@pytest.mark.parametrize("name", LINKED)
def test_a_linked_directory_is_not_entered(node, name):
    (node.evil / name).parent.mkdir(parents=True, exist_ok=True)
    (node.evil / name).symlink_to(node.secret / LINKED[name])
    (rank(node.evil, 7) / FILE).write_bytes(record(loss=1))
    until(lambda: 'pod="evil",container="main",node="n1",node_rank="7"' in node.exporter.series())
    node.goes_on()


def test_a_volume_that_is_a_link_is_no_volume(tmp_path):
    with Node(tmp_path) as node:
        volume = node.kubelet.start("linked")
        volume.rmdir()
        volume.symlink_to(node.secret)
        node.goes_on()
        assert 'pod="linked"' not in node.exporter.series()


@pytest.mark.exhaustive
def test_linked_run_info_is_not_read(node):
    (rank(node.evil) / "wandb_runs.json").symlink_to(rank(node.secret) / "wandb_runs.json")
    os.link(rank(node.secret) / "wandb_runs.json", rank(node.evil) / "wandb_runs.p1.json")
    (rank(node.evil) / FILE).write_bytes(record(loss=1))
    until(lambda: node.counted("evil") == 1)
    node.goes_on()


@pytest.mark.exhaustive
@pytest.mark.parametrize("name", ["node_0", "node_0/rank_0", f"node_0/rank_0/{FILE}"])
def test_a_name_that_is_swapped_with_a_link_as_fast_as_it_goes(node, name):
    (rank(node.evil) / FILE).write_bytes(record(run="mine", loss=1))
    (node.path / "kubelet" / "link").symlink_to(node.secret / name)
    spare, place = node.path / "kubelet" / "link", node.evil / name
    pages, ended = [], threading.Event()

    def look():
        while not ended.is_set():
            pages.append(node.exporter.page())

    looking = threading.Thread(target=look)
    looking.start()
    node.act(lambda _: exchange(spare, place), 5)
    ended.set()
    looking.join()
    assert SECRET not in "".join(pages)
    node.goes_on()


def exchange(one, other):
    """Rename both at once (renameat2(2)): neither name is ever absent."""
    here = -100  # AT_FDCWD
    libc = ctypes.CDLL(None)
    assert libc.renameat2(here, os.fsencode(one), here, os.fsencode(other), 2) == 0


@pytest.mark.exhaustive
def test_a_lease_is_waited_out(node):
    path = rank(node.evil) / FILE
    before = signal.signal(signal.SIGIO, signal.SIG_IGN)  # the holder is told, and ignores it
    with contextlib.ExitStack() as stack:
        stack.callback(signal.signal, signal.SIGIO, before)
        fd = os.open(path, os.O_WRONLY | os.O_CREAT)
        fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_WRLCK)
        os.write(fd, record(loss=1))
        node.refuses("lease")
        node.goes_on()
        os.close(fd)
        until(lambda: node.counted("evil") == 1)


def without_capabilities():
    capabilities = "-dac_override,-dac_read_search"
    return ["setpriv", f"--bounding-set={capabilities}", f"--inh-caps={capabilities}"]


@pytest.mark.exhaustive
@pytest.mark.parametrize("name", [".", "node_0", "node_0/rank_0", f"node_0/rank_0/{FILE}"])
def test_what_may_not_be_read_is_read_when_it_may(tmp_path, name):
    with Node(tmp_path, wrapper=without_capabilities()) as node:
        path = rank(node.evil) / FILE
        path.touch()
        (node.evil / name).chmod(0)
        path.write_bytes(record(loss=1))
        for changed in node.evil / name, rank(node.evil):
            os.utime(changed, (1, 1))  # long ago: no listing is due for the change
        node.refuses("permission")
        node.goes_on()
        (node.evil / name).chmod(0o755)
        until(lambda: node.counted("evil") == 1, 45)


@pytest.mark.exhaustive
def test_a_second_name_that_is_taken_away_and_a_link_that_becomes_a_file(node):
    first, second = (rank(node.evil) / f"wandb_metrics.p{number}.jsonl" for number in (1, 2))
    first.write_bytes(record(loss=1))
    os.link(first, node.path / "elsewhere" / "second name")
    second.symlink_to(first)
    os.utime(rank(node.evil), (1, 1))  # long ago: no listing is due for the change
    for reason in "link", "hard_link":
        node.refuses(reason)
    (node.path / "elsewhere" / "second name").unlink()
    until(lambda: node.counted("evil") == 1, 45)
    second.unlink()
    second.write_bytes(record(loss=1))
    until(lambda: node.counted("evil") == 2, 45)


def test_labels_come_from_the_api_and_text_is_escaped(node):
    nasty = 'a"} 1\nprimus_lens_wandb_metric{pod="honest",key="x\\'
    forged = {"namespace": "x", "pod": "honest", "node_rank": "9", nasty: 1, "a\0b": 2, "é😀": 3}
    lines = record(run=nasty, **forged) + record(run="r", loss=1, **forged)
    lines += b'{"timestamp":1,"data":{"\\ud800":1,"?":2,"x":NaN},"run":"r"}\n'  # both are `?`
    (rank(node.evil) / "wandb_runs.json").write_text(
        '{"r": {"name": "\\"} 1\\n", "pod": "honest"}}'
    )
    (rank(node.evil) / FILE).write_bytes(lines)
    until(lambda: "run_info{" in node.exporter.series())
    samples = [each for family in parser(node.exporter.series()) for each in family.samples]
    names = [(each.name, *sorted(each.labels.items())) for each in samples]
    assert len(set(names)) == len(names)
    honest = [each.labels for each in samples if each.labels["pod"] == "honest"]
    assert {each.get("key", "loss") for each in honest} == {"loss"}
    evil = [each.labels for each in samples if each.labels["pod"] == "evil"]
    assert {each["run_id"] for each in evil} == {nasty, "r"}
    assert {each["key"] for each in evil if "key" in each} == {nasty, "a\0b", "é😀", "loss"}
    node.goes_on()
