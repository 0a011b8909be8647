# SPDX-License-Identifier: Apache-2.0
"""Output paths on file systems that hang, fail or belong to somebody else."""

import json
import os
import shutil
import subprocess
import sys

import pytest
from primus_lens_hook.mounts import hanging_type
from primus_lens_hook.recording import writer as writer_module
from primus_lens_hook.recording.writer import Writer
from primus_lens_hook.recording.writer_thread import WriterThread

from support.fuse import FaultyMount
from support.serving import until

exhaustive = pytest.mark.exhaustive
MAX = 1 << 20
TRAIN = """
    import multiprocessing, os, pathlib, signal, subprocess, sys, time, wandb

    def freeze(daemon):
        os.kill(daemon, signal.SIGSTOP)
        # All its threads: who waits for a request that one of them has taken can never end.
        while any(b") T" not in each.read_bytes() for each in threads(daemon)):
            pass

    def threads(daemon):
        return pathlib.Path("/proc", str(daemon), "task").glob("*/stat")

    wandb.init(project="p")
    for i in range(20):
        wandb.log({"i": i})
    time.sleep(1.2)  # a batch is written and its file closed
    if sys.argv[1] != "0":
        freeze(int(sys.argv[1]))
    for i in range(20, 40):
        wandb.log({"i": i})
    exec(sys.argv[2])
    wandb.finish()
    print("trained")
"""
CHILDREN = """
child = multiprocessing.get_context("fork").Process(target=wandb.log, args=({"child": 1},))
child.start()
child.join()
pid = os.fork() or os._exit(0)
os.waitpid(pid, 0)
subprocess.run(["true"], check=True)
"""
THAW = 'subprocess.Popen(["sh", "-c", "sleep 1; kill -CONT " + sys.argv[1]])'


@pytest.fixture
def mount(tmp_path):
    (tmp_path / "fuse").mkdir()
    with FaultyMount(tmp_path / "fuse" / "mount", tmp_path / "fuse" / "source") as mount:
        yield mount


def lines(directory):
    """Each line below, by the order of files."""
    files = sorted(directory.rglob("wandb_metrics*.jsonl"))
    return [line for path in files for line in path.read_text().splitlines()]


def values(directory):
    records = [json.loads(line)["data"] for line in lines(directory)]
    return sorted(data["i"] for data in records if "i" in data)


def runs(directory):
    (path,) = directory.rglob("wandb_runs.json")
    return json.loads(path.read_text()).values()


def output(mount):
    return {"PRIMUS_LENS_WANDB_OUTPUT_PATH": str(mount.path)}


@pytest.mark.parametrize(
    "then",
    [
        "",
        pytest.param(CHILDREN, id="children"),
        pytest.param("signal.alarm(1); time.sleep(5)", marks=exhaustive),
        pytest.param("os._exit(3)", marks=exhaustive),
    ],
)
def test_a_training_ends_as_ever_while_its_file_system_hangs(train, mount, then):
    hooked = train(TRAIN, mount.pid, then, env=output(mount))
    mount.thaw()
    native = train(TRAIN, mount.pid, then, env={"PRIMUS_LENS_WANDB_HOOK": "off"})
    assert (hooked.status, hooked.stdout) == (native.status, native.stdout)
    assert values(mount.source)[:20] == list(range(20))
    assert len(hooked.complaints) <= 2  # one of each process
    assert all("hangs" in line for line in hooked.complaints)


def test_every_line_is_there_after_the_thaw(train, mount):
    done = train(TRAIN, mount.pid, THAW, env=output(mount))
    assert (done.status, done.complaints) == (0, [])
    assert values(mount.source) == list(range(40))
    assert [run["exit_code"] for run in runs(mount.source)] == [0]


def test_what_a_child_has_not_lost_is_not_counted_there():
    thread = WriterThread(None)
    thread.refused = 3
    pid = os.fork()
    if pid == 0:
        os._exit(thread.refused)
    assert os.waitpid(pid, 0)[1] == 0


def test_what_finds_the_queue_full_is_counted(train, mount):
    fill = "for i in range(40, 80): wandb.log({'i': i, 'text': 'x' * 1_000_000})\n"
    done = train(TRAIN, mount.pid, fill + THAW, env=output(mount))
    assert len(done.complaints) == 1
    kept = values(mount.source)
    assert kept == list(range(len(kept)))
    (run,) = runs(mount.source)
    assert run["lines_lost"] == 80 - len(kept) > 0


def test_a_run_after_a_hang_is_whole(train, mount):
    another = """
run.finish()
os.kill(int(sys.argv[1]), signal.SIGCONT)
time.sleep(0.5)
wandb.init(project="p")
for i in range(40, 43):
    wandb.log({"i": i})
"""
    begun = TRAIN.replace("wandb.init", "run = wandb.init")
    done = train(begun, mount.pid, another, env=output(mount))
    assert (done.status, done.complaints) == (0, [])
    assert values(mount.source) == list(range(43))
    assert [run["exit_code"] for run in runs(mount.source)] == [0, 0]


def test_a_file_system_that_contradicts_itself(mount):
    (mount.source / "wandb_metrics.jsonl").touch()
    mount.fail(open=("ENOENT", 10**9))
    assert not Writer([str(mount.path)], MAX).write(b"{}\n")


def test_descriptors_that_cannot_be_looked_at(mount):
    writer, before = Writer([str(mount.path)], MAX, holds=False), len(os.listdir("/proc/self/fd"))
    for _ in range(20):
        mount.fail(getattr=("EIO", 2), flush=("EIO", 1))
        writer.write(b"{}\n")
        writer.release()
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_kill_while_nothing_hangs(train, mount):
    die = "os.kill(int(sys.argv[1]), signal.SIGCONT); time.sleep(1.2); os.kill(os.getpid(), 9)"
    done = train(TRAIN, mount.pid, die, env=output(mount))
    assert done.status == -9
    assert values(mount.source) == list(range(40))


def test_it_is_known_without_a_look(mount, tmp_path, monkeypatch):
    mount.freeze()
    (tmp_path / "link").symlink_to(mount.path / "below")
    monkeypatch.chdir(tmp_path)
    for path in mount.path, mount.path / "a/b", tmp_path / "link/c", tmp_path / "x/../link":
        assert hanging_type(str(path)) == "fuse"
    assert hanging_type(str(tmp_path / "fuse")) is None


@pytest.mark.parametrize("types", ["nfs nfs4 cifs lustre fuse.gcsfuse virtiofs autofs newfs"])
def test_types_by_the_table_of_mounts(monkeypatch, tmp_path, types):
    rows = [f"1 0 0:1 / /a\\040{kind} rw master:1 - {kind} source rw\n" for kind in types.split()]
    rows += ["1 0 0:1 / / rw - overlay source rw\n", "1 0 0:1 / /a\\040nfs/b rw - ext4 source rw\n"]
    (tmp_path / "table").write_text("".join(rows))
    monkeypatch.setattr("primus_lens_hook.mounts.TABLE", str(tmp_path / "table"))
    assert [hanging_type(f"/a {kind}/b") for kind in types.split()] == types.split()
    assert hanging_type("/b") is None


def test_no_locks(mount):
    mount.fail(flock=("ENOSYS", 99))
    first, second = Writer([str(mount.path)], MAX), Writer([str(mount.path)], MAX)
    for number in range(3):
        assert first.write(b"first %d\n" % number)
        assert second.write(b"second %d\n" % number)
    files = sorted(path.read_text() for path in mount.source.iterdir())
    assert files == ["".join(f"{w} {n}\n" for n in range(3)) for w in ("first", "second")]
    assert (first.is_second, second.is_second) == (False, False)


@pytest.mark.parametrize("error", ["EDQUOT", "ENOSPC", "EIO"])
def test_a_file_system_that_recovers(mount, monkeypatch, error):
    monkeypatch.setattr(writer_module, "FIRST_PAUSE", 0.01)
    writer = Writer([str(mount.path)], MAX)
    mount.fail(write=(error, 2))
    until(lambda: writer.write(b"{}\n"))
    assert lines(mount.source) == ["{}"]
    assert writer.lost >= 2


def test_a_file_that_the_server_has_replaced(mount):
    writer = Writer([str(mount.path)], MAX)
    assert writer.write(b"1\n")
    before = len(os.listdir("/proc/self/fd"))
    for operation in "write", "getattr":
        mount.fail(**{operation: ("ESTALE", 1)})
        assert writer.write(b"2\n")
    assert writer.lost == 0
    assert lines(mount.source) == ["1", "2", "2"]
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_frozen_disk_is_waited_for(train, tmp_path):
    with frozen_disk(tmp_path) as path:
        freeze = f'subprocess.run(["fsfreeze", "-f", {str(path)!r}], check=True)\n'
        thaw = f'subprocess.Popen(["sh", "-c", "sleep 1; fsfreeze -u {path}"])\n'
        more = freeze + thaw + "for i in range(40, 60): wandb.log({'i': i})"
        done = train(TRAIN, 0, more, env={"PRIMUS_LENS_WANDB_OUTPUT_PATH": str(path)})
        assert (done.status, done.complaints) == (0, [])
        assert values(path) == list(range(60))


class frozen_disk:
    """An ext4 of its own, which may be frozen."""

    def __init__(self, directory):
        self.image, self.path = directory / "image", directory / "disk"

    def __enter__(self):
        self.path.mkdir()
        with self.image.open("wb") as image:
            image.truncate(16 << 20)
        if shutil.which("mkfs.ext4") is None:
            pytest.skip("mkfs.ext4 is not installed: apt-get install e2fsprogs")
        subprocess.run(["mkfs.ext4", "-q", self.image], check=True)
        command = ["mount", "-o", "loop", self.image, self.path]
        if os.geteuid() or subprocess.run(command, capture_output=True).returncode:
            pytest.skip("mounting a disk is not permitted here")
        return self.path

    def __exit__(self, *_):
        subprocess.run(["fsfreeze", "-u", self.path], capture_output=True, check=False)
        subprocess.run(["umount", self.path], check=True)


AS_ANOTHER = """
import os, sys
from primus_lens_hook.recording.writer import Writer
from primus_lens_hook.recording.writer_thread import WriterThread
os.seteuid(int(sys.argv[1]))
from primus_lens_hook.identity import Identity
from primus_lens_hook.recording.rank_directory import rank_directories
writer = Writer(rank_directories(sys.argv[2], Identity(0, 0, 0, 1)), 1 << 20)
print(writer.write(b"{}\\n"), writer.directory)
"""


def written_by(user, path):
    command = [sys.executable, "-c", AS_ANOTHER, str(user), str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return done.stdout.split()


@pytest.mark.skipif(os.geteuid() != 0, reason="needs to be several users")
def test_a_directory_of_another_user(tmp_path):
    for directory in (tmp_path, *list(tmp_path.parents)[:3]):
        directory.chmod(0o777)
    assert written_by(0, tmp_path) == ["True", f"{tmp_path}/node_0/rank_0"]
    assert written_by(1234, tmp_path) == ["True", f"{tmp_path}/node_0.u1234/rank_0"]
    assert written_by(1234, tmp_path) == ["True", f"{tmp_path}/node_0.u1234/rank_0"]


@pytest.mark.skipif(os.geteuid() != 0, reason="needs to be several users")
def test_a_file_of_another_user(tmp_path):
    for directory in (tmp_path, *list(tmp_path.parents)[:3]):
        directory.chmod(0o777)
    written_by(0, tmp_path)
    (tmp_path / "node_0" / "rank_0").chmod(0o777)
    assert written_by(1234, tmp_path) == ["True", f"{tmp_path}/node_0/rank_0"]
    assert len(lines(tmp_path)) == 2
