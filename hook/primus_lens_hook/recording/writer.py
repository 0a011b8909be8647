# SPDX-License-Identifier: Apache-2.0
"""Appends lines to the rank's JSONL so that a line, once written, survives SIGKILL.

A process holds an exclusive lock on its file; a second process with the same rank (a forked
child, say) takes a file of its own. It must never leave a torn line, never write more than
its bytes, and never raise for what is wrong with the file system.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import stat
import threading
import time
from typing import Iterable, Iterator, List, Optional, Tuple

from primus_lens_hook import contract
from primus_lens_hook.identity import Identity
from primus_lens_hook.warn_once import warn_once

try:
    import fcntl
except ImportError:  # Windows: a second process of a rank shares the file there
    fcntl = None  # type: ignore[assignment]

# The bytes a rank may keep are split into this many files: rotation deletes the oldest, so the
# newest three quarters are always there.
SEGMENTS = 4
RETRY_SECONDS = 30.0  # after a full disk, a lost path, a missing permission
UNLINKED_SECONDS = 1.0  # how often to look whether the file is still in its directory
# O_APPEND, and one os.write for each line: the line is in the kernel before the call returns, so
# SIGKILL loses nothing, and a line is never in the middle of another. A buffered file of Python
# would keep 8 KiB back, and a forked child would write the parent's buffer a second time.
# O_RDWR: the last byte is read, to find a line that another process could not complete.
OPEN_FLAGS = os.O_RDWR | os.O_APPEND | os.O_CREAT
# O_NOFOLLOW: on a shared volume anybody may put a link in the file's place, and a training that
# runs as root would append to its target. O_NONBLOCK: to open a device may wait for its other
# end. O_BINARY: Windows would write \r\n.
for _name in ("O_CLOEXEC", "O_NOFOLLOW", "O_NONBLOCK", "O_BINARY"):
    OPEN_FLAGS |= getattr(os, _name, 0)

_FILES = re.compile(
    re.escape(contract.METRICS_STEM)
    + r"(?P<owner>\.p\d+)?(\.(?P<number>\d+))?"
    + re.escape(contract.METRICS_SUFFIX)
    + "$"
)


class Writer:
    """The current segment of one process in one rank directory.

    `owner` is "" or ".p{pid}": the part that sets this process's files apart. Threads may
    share a Writer; a forked child must make its own.
    """

    def __init__(self, directory: str, max_bytes: int) -> None:
        self.directory = directory
        self.owner = ""
        self.lost = 0
        self._max_bytes = max_bytes
        self._segment_bytes = max_bytes // SEGMENTS
        self._fd: Optional[int] = None
        self._size = 0
        self._check_at = 0.0
        self._rotating = False
        # Re-entrant: a signal handler that logs may interrupt the very thread that writes, and
        # with a plain Lock would wait for itself for ever.
        self._lock = threading.RLock()

    def write(self, line: bytes) -> bool:
        """Append one newline-terminated line; False when it could not be written."""
        with self._lock:
            # Not time.time(): a clock that is set back would stop the retries for hours.
            now = time.monotonic()
            try:
                # Looked at once a second, or when the segment is full, or while there is none: an
                # fstat for each line would be a second system call in each log call.
                if now >= self._check_at or self._size + len(line) > self._segment_bytes:
                    self._make_ready(now, len(line))
                if self._fd is None:
                    self.lost += 1
                    return False
                written = os.write(self._fd, line)
                self._size += written
                if written != len(line):
                    self._cut_back(written)
            except OSError as error:
                self._suspend(error, now)
                return False
            return True

    def _make_ready(self, now: float, length: int) -> None:
        if self._fd is None and now < self._check_at:
            return
        self._check_at = now + UNLINKED_SECONDS
        # The directory was removed under us (a cleanup job, a test's tmp_path). Writes to a file
        # without a name succeed, and nobody will ever read them.
        if self._fd is not None and os.fstat(self._fd).st_nlink == 0:
            self._close()
        if self._fd is None:
            self._open()
        elif self._size and self._size + length > self._segment_bytes and not self._rotating:
            self._rotate()

    def _cut_back(self, written: int) -> None:
        """A full disk takes what fits of a line; the lock makes the file ours to mend."""
        # A short write is no error to the kernel: ENOSPC comes with the next one only. A torn
        # line would make the exporter drop it and the line that follows.
        assert self._fd is not None
        self._size -= written
        os.ftruncate(self._fd, self._size)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def _open(self) -> None:
        os.makedirs(self.directory, exist_ok=True)
        # NFS has no atomic append: two hosts that append to one file overwrite each other's lines.
        # A second process of this rank never shares a file.
        for owner in ("", ".p%d" % os.getpid()):
            fd = _open_locked(self._path(owner))
            if fd is not None:
                break
        else:
            raise OSError(errno.EBUSY, "another process holds the files of this rank")
        self._fd, self.owner = fd, owner
        self._size = os.fstat(fd).st_size
        if self._size:
            os.lseek(fd, -1, os.SEEK_END)
            # A process before us was killed within a write, or the node lost power. Without
            # this newline the first line of ours would be lost with that one.
            if os.read(fd, 1) != b"\n":
                self._size += os.write(fd, b"\n")
        self._prune()

    def _rotate(self) -> None:
        numbers = [number for owner, number in self._segments() if owner == self.owner]
        closed = self._path("%s.%d" % (self.owner, max(numbers, default=0) + 1))
        # A signal handler that logs now still has the old segment: a second rotation within this
        # one would rename the new file to a number that is taken.
        self._rotating = True
        try:
            # Renamed while it is open: a reader that follows the inode reads it to its end.
            os.rename(self._path(self.owner), closed)
            self._close()
            self._open()
        finally:
            self._rotating = False

    def _prune(self) -> None:
        """Delete the oldest files that no process holds, until a new segment fits."""
        # Of all processes of the rank, ended ones too: each forked child that has logged leaves a
        # file of its own pid. By mtime, since pids and the numbers of two owners have no order.
        keep = self._max_bytes - self._segment_bytes
        paths = [os.path.join(self.directory, name) for name in self._names()]
        found = sorted((status.st_mtime, path, status.st_size) for path, status in _stat(paths))
        total = sum(size for _, _, size in found) - self._size
        for _, path, size in found:
            if total <= keep:
                return
            if _delete_unheld(path):
                total -= size

    def _segments(self) -> List[Tuple[str, int]]:
        matches = [_FILES.match(name) for name in self._names()]
        return [(m["owner"] or "", int(m["number"])) for m in matches if m and m["number"]]

    def _names(self) -> List[str]:
        return [name for name in os.listdir(self.directory) if _FILES.match(name)]

    def _path(self, middle: str) -> str:
        name = contract.METRICS_STEM + middle + contract.METRICS_SUFFIX
        return os.path.join(self.directory, name)

    def abandon(self) -> None:
        """Let go of the file in a forked child, whose parent goes on writing it."""
        # close() alone: the lock belongs to the open file, which parent and child share, so an
        # explicit LOCK_UN here would take it from the parent.
        with contextlib.suppress(OSError):
            self._close()

    def _close(self) -> None:
        # Forgotten before it is closed: close() may fail with EIO on NFS, and a second close of
        # the number would hit whatever the training has opened meanwhile.
        fd, self._fd = self._fd, None
        if fd is not None:
            os.close(fd)

    def _suspend(self, error: OSError, now: float) -> None:
        self.lost += 1
        # Not for each line: on a full or hung disk an open may take seconds, within a log call.
        self._check_at = now + RETRY_SECONDS
        with contextlib.suppress(OSError):
            self._close()
        warn_once(
            "write",
            "metrics are not saved for now (%s): %s; training goes on"
            % (self.directory, error.strerror or error),
        )


def rank_directory(output_path: str, who: Identity) -> str:
    """Where a process of this rank writes."""
    node = contract.NODE_DIRECTORY.format(who.node_rank)
    return os.path.join(output_path, node, contract.RANK_DIRECTORY.format(who.local_rank))


def _open_locked(path: str) -> Optional[int]:
    """Open and lock `path`; None when another process holds it.

    Raises OSError when the path cannot be written, or is no regular file.
    """
    while True:
        fd = os.open(path, OPEN_FLAGS, 0o644)
        try:
            # fstat of what was opened: a stat before the open could be of another file.
            status = os.fstat(fd)
            if not stat.S_ISREG(status.st_mode):
                raise OSError(errno.EINVAL, "not a regular file: " + path)
            if not _lock(fd):
                os.close(fd)
                return None
            # Its owner may have renamed or deleted the file between our open and our lock: then
            # ours is a lock on a file that no longer has this name.
            if _same_file(status, path):
                return fd
        except BaseException:
            os.close(fd)
            raise
        os.close(fd)


def _lock(fd: int) -> bool:
    if fcntl is None:
        return True
    # Not lockf: locks of POSIX are lost as soon as this process closes any descriptor of the
    # file, such as that of a user's script that has a look at it.
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:  # held by another process, or a file system without locks
        return False
    return True


def _stat(paths: Iterable[str]) -> Iterator[Tuple[str, os.stat_result]]:
    for path in paths:
        try:
            yield path, os.lstat(path)
        except OSError:  # another process of this rank was quicker
            continue


def _delete_unheld(path: str) -> bool:
    try:
        # Under its lock: a living process holds that of its own file, and whoever opens this one
        # just now finds after its lock that the name is gone.
        fd = _open_locked(path)
        if fd is None:
            return False
        os.unlink(path)
        os.close(fd)
    except OSError:
        return False
    return True


def _same_file(status: os.stat_result, path: str) -> bool:
    try:
        return os.path.samestat(status, os.stat(path))
    except FileNotFoundError:
        return False
