# SPDX-License-Identifier: Apache-2.0
"""What happens to the output path while a life goes on. `places` makes the file systems."""

import contextlib
import ctypes
import itertools
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

from support.hostile_hook.actions.notes import FORGOTTEN, note, over, trouble

__all__ = [
    "change_mode",
    "change_user",
    "daemon_continues",
    "daemon_stops",
    "disk_fills",
    "disk_frees",
    "freeze",
    "put_in_place",
    "read_only",
    "records_move",
    "records_vanish",
    "user_file_in_records",
]

MOVES = itertools.count(1)
NOBODY = 65534
SEEN = 1.2  # seconds after which a removed file has been noticed
MS_RDONLY, MS_REMOUNT = 1, 32


def records():
    return os.environ["PRIMUS_LENS_WANDB_OUTPUT_PATH"]


def assert_own():
    """Never the machine's own file system."""
    assert os.path.ismount(records())


def life():
    return os.environ["HOSTILE_LIFE"]


def records_vanish():
    """A cleanup job removes what is there."""
    trouble("removed")
    for name in os.listdir(records()) if os.path.isdir(records()) else ():
        shutil.rmtree(os.path.join(records(), name), ignore_errors=True)
    note(FORGOTTEN)
    time.sleep(SEEN)
    over("removed")


def records_move():
    """What is there is renamed: the file that is open goes along."""
    moved = os.path.join(records(), f"node_0.moved{next(MOVES)}")
    trouble("moved")  # natively there is nothing to go along; a new one is opened as needed
    if os.path.isdir(os.path.join(records(), "node_0")):
        os.rename(os.path.join(records(), "node_0"), moved)
    over("moved")


def put_in_place(kind):
    """Something else takes the place of the rank's file or directory."""
    rank = os.path.join(records(), "node_0", "rank_0")
    # The number is that of this action: natively there is nothing to be moved at the first one.
    moved = f"{rank}.moved{next(MOVES)}"
    trouble("in place")
    if os.path.lexists(rank):
        os.rename(rank, moved)
    target = os.path.join(life(), "work", "target")
    with open(target, "w") as file:
        file.write("the user's\n")
    os.makedirs(os.path.dirname(rank), exist_ok=True)
    path = os.path.join(rank, "wandb_metrics.jsonl")
    if kind != "file for directory":
        os.makedirs(rank, exist_ok=True)
    make = {
        "file for directory": lambda: shutil.copy(target, rank),
        "link": lambda: os.symlink(target, path),
        "dangling link": lambda: os.symlink(target + ".gone", path),
        "directory": lambda: os.mkdir(path),
        "pipe": lambda: os.mkfifo(path),
    }
    make[kind]()


def user_file_in_records():
    """A file of the user's beside ours, with a name that is nearly one of ours."""
    rank = os.path.join(records(), "node_0", "rank_0")
    os.makedirs(rank, exist_ok=True)
    for name in ("checkpoint.bin", "wandb_metrics.old.jsonl", "wandb_metrics.jsonl.gz"):
        with open(os.path.join(rank, name), "w") as file:
            file.write("the user's\n" * 10_000)


def change_mode(mode):
    trouble("mode")
    # The kernel refuses `read_only` while a file of ours is open: then it is writable here alone.
    with contextlib.suppress(OSError):
        os.chmod(records(), mode)


def change_user():
    """The rest of the life has no rights but those of everybody."""
    trouble("user")
    if "HOSTILE_DAEMON" in os.environ:
        return  # glibc waits for each thread to change its user, and one may wait for the daemon
    os.setegid(NOBODY)
    os.seteuid(NOBODY)


def read_only(on):
    trouble("read-only")
    assert_own()
    ctypes.CDLL(None).mount(None, records().encode(), None, MS_REMOUNT | (MS_RDONLY * on), None)


def disk_fills():
    trouble("full")
    assert_own()
    try:
        with open(os.path.join(records(), "hog"), "wb", buffering=0) as file:
            for size in (65536, 4096, 512, 64, 1):
                fills(file, b"\0" * size)
    except OSError:
        return


def fills(file, block):
    try:
        while file.write(block) == len(block):
            pass
    except OSError:
        return


def disk_frees():
    os.truncate(os.path.join(records(), "hog"), 0)


def freeze(seconds):
    """The file system takes no write until somebody thaws it."""
    assert_own()
    # From outside: who writes to it waits in the kernel, and cannot be killed.
    thaw = "fsfreeze -f '{0}' && (sleep {1}; fsfreeze -u '{0}') >/dev/null 2>&1 &"
    subprocess.run(
        ["sh", "-c", thaw.format(records(), seconds)], check=False, stderr=subprocess.DEVNULL
    )
    time.sleep(0.05)


def daemon_stops():
    """The process that serves the file system (FUSE) stops answering."""
    trouble("stopped")
    time.sleep(1.2)  # by then no request is under way: nobody can end that waits for its answer
    daemon = os.environ["HOSTILE_DAEMON"]
    os.kill(int(daemon), signal.SIGSTOP)
    while any(
        b") T" not in each.read_bytes() for each in Path("/proc", daemon).glob("task/*/stat")
    ):
        pass


def daemon_continues():
    """It answers again: what was queued for it is written."""
    os.kill(int(os.environ["HOSTILE_DAEMON"]), signal.SIGCONT)
    over("stopped")
