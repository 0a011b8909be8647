# SPDX-License-Identifier: Apache-2.0
"""Detects file systems that can hang: network file systems, and those of a program (FUSE).

The types are read from the kernel's table of mounts. It must never touch such a file system, not
even by a stat: that would wait for as long as the file system hangs.
"""

from __future__ import annotations

import os
import re
import sys
from typing import Dict, Optional

from primus_lens_hook.interruption import is_interruption

# What answers from this machine's own memory or disks. Every other type can hang: nfs, cifs, ceph,
# lustre, gpfs, beegfs, glusterfs, 9p, virtiofs, each fuse.*, autofs, and those that nobody here
# has heard of. To take a local one for such a one costs a thread; the reverse stops a training.
LOCAL = {
    *("ext2", "ext3", "ext4", "xfs", "btrfs", "zfs", "f2fs", "bcachefs", "jfs", "reiserfs"),
    *("tmpfs", "ramfs", "rootfs", "overlay", "aufs", "devtmpfs", "hugetlbfs", "proc", "sysfs"),
    *("squashfs", "erofs", "iso9660", "vfat", "exfat", "ntfs3"),
}
TABLE = "/proc/self/mountinfo"  # proc(5)
MOST_LINKS = 40  # the kernel's own limit for one path
_ESCAPED = re.compile(r"\\([0-7]{3})")  # a space in a mount point is \040


def hanging_type(path: str) -> Optional[str]:
    """The type of the file system that can hang, which `path` lies on or leads through, or None.

    `path` is absolute; it need not exist.
    """
    if sys.platform != "linux":  # no such table: files are written as on a local disk
        return None
    types = _types()
    if types is None:
        return "unknown: no " + TABLE
    # Component by component, as the kernel does it, so that a link is only read once it is known
    # to be on a local file system.
    here, waiting, links = "/", path.split("/")[::-1], 0
    while waiting:
        name = waiting.pop()
        if name == ".":
            continue
        here = os.path.dirname(here) if name == ".." else os.path.join(here, name)
        # Before anything looks at it: the file system of a mount point is the mounted one's.
        if types.get(here.rstrip("/") or "/", "tmpfs") not in LOCAL:
            return types[here.rstrip("/") or "/"]
        try:
            target = os.readlink(here)
        except OSError as error:  # no link, or not there yet
            if is_interruption(error):
                raise
            continue
        links += 1
        if links > MOST_LINKS:
            return None
        here = os.path.dirname(here)
        if target.startswith("/"):
            here = "/"
        waiting += target.split("/")[::-1]
    return None


def _types() -> Optional[Dict[str, str]]:
    """The type of the file system at each mount point; of several, the topmost."""
    types = {}
    try:
        # Bytes that are no UTF-8 come back as os.fsdecode makes them, like those of `path`.
        with open(TABLE, encoding="utf-8", errors="surrogateescape") as table:
            for line in table:
                # ID, parent, device, root, mount point, options, any number of tags, "-", type
                place, _, rest = line.partition(" - ")
                point = _ESCAPED.sub(lambda code: chr(int(code[1], 8)), place.split(" ")[4])
                types[point] = rest.split(" ")[0]
    except (OSError, IndexError) as error:
        if is_interruption(error):
            raise
        return None
    return types
