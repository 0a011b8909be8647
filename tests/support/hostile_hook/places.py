# SPDX-License-Identifier: Apache-2.0
"""Where the records of a life go: file systems and directories of every kind.

Mounts need root; `__main__` gives them a namespace of their own, so that none outlives the run.
"""

import contextlib
import os
import shutil
import subprocess
from pathlib import Path

from support.fuse import FaultyMount, why_not
from support.mount_namespace import can_mount

NOBODY = 65534
# Here nothing need be recorded; what is recorded must be whole.
LOSES = {"small disk", "few inodes", "file", "unwritable", "owned by another", "read-only", "fuse"}
MOUNTED = {"small disk", "few inodes", "read-only", "ext4", "fuse"}


def possible(place):
    """Whether this machine has what the place needs, and this user may make it."""
    if place == "owned by another":
        return os.geteuid() == 0
    if place == "fuse" and why_not():
        return False
    if place == "ext4" and not (os.path.exists("/dev/loop-control") and shutil.which("mkfs.ext4")):
        return False
    return place not in MOUNTED or can_mount()


@contextlib.contextmanager
def made(place, life):
    """Make the output path of a life below its directory; yields it, and more environment."""
    path = life / "records"
    if place != "no parent":
        path.mkdir()
    if place in MOUNTED:
        with MOUNTS[place](path, life) as env:
            yield path, env
    else:
        yield OTHERS.get(place, lambda path: path)(path), {}


@contextlib.contextmanager
def tmpfs(path, options):
    call("mount", "-t", "tmpfs", "-o", options, "tmpfs", path)
    try:
        yield {}
    finally:
        unmount(path)


@contextlib.contextmanager
def ext4(path, life):
    """A file system that can be frozen, in a file."""
    image = life / "image"
    with image.open("wb") as file:
        file.truncate(2 << 20)
    call("mkfs.ext4", "-q", "-O", "^has_journal", "-m", "0", image)
    call("mount", "-o", "loop", image, path)
    path.chmod(0o777)
    try:
        yield {}
    finally:
        subprocess.run(["fsfreeze", "-u", path], stderr=subprocess.DEVNULL)
        unmount(path)


@contextlib.contextmanager
def fuse(path, life):
    """A file system whose daemon can be stopped."""
    with FaultyMount(path, life / "below") as mount:
        yield {"HOSTILE_DAEMON": str(mount.pid)}


def file(path):
    path.rmdir()
    path.write_text("the user's\n")
    return path


def unwritable(path):
    path.rmdir()
    return Path("/proc/records")


def owned(path):
    """Another user made the rank's directory, with a file that is not ours."""
    rank = path / "node_0" / "rank_0"
    rank.mkdir(parents=True)
    (rank / "wandb_metrics.jsonl").touch()
    for each in (path, *path.rglob("*")):
        os.chown(each, NOBODY, NOBODY)
        each.chmod(0o500)
    return path


def link(path):
    path.rmdir()
    (path.parent / "target").mkdir()
    path.symlink_to(path.parent / "target")
    return path


MOUNTS = {
    "small disk": lambda path, _: tmpfs(path, "size=128k,mode=777"),
    "few inodes": lambda path, _: tmpfs(path, "nr_inodes=5,mode=777"),
    "read-only": lambda path, _: tmpfs(path, "ro"),
    "ext4": ext4,
    "fuse": fuse,
}
OTHERS = {
    "no parent": lambda path: path / "deep" / "er",
    "file": file,
    "unwritable": unwritable,
    "owned by another": owned,
    "link": link,
}


def call(*command):
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def unmount(path):
    # Lazily: a process that is being killed may still have a file there.
    subprocess.run(["umount", "-l", path], check=False, stderr=subprocess.DEVNULL)
