# SPDX-License-Identifier: Apache-2.0
"""An append-only file, and a check that its descriptor still refers to it.

A training may close all descriptors, as daemons do, and open a checkpoint that gets our number.
Nothing may be written to that, and it must never be closed.
"""

from __future__ import annotations

import errno
import os
from typing import Tuple

from primus_lens_hook.interruption import is_interruption, suppress

try:
    import fcntl
    import resource

    # Not from `signal`, which makes an enum of each answer: a microsecond for each line.
    from _signal import (  # type: ignore[import-not-found]
        SIG_IGN,
        SIGXFSZ,
        getsignal,
    )
except ImportError:  # Windows
    fcntl = resource = None  # type: ignore[assignment]

LOOK_SECONDS = 1.0  # how often to look whether the file is still in its directory
# A mark on what we have opened: the signal that it would send if it were asked to send any, which
# it is not. Whatever else gets our number has no such mark, be it a new file of the same inode. To
# read it costs a tenth of what fstat does, and touches no file system. Linux has it (fcntl(2)).
MARK = 61
_READ_MARK: int = getattr(fcntl, "F_GETSIG", 0)
_SET_MARK: int = getattr(fcntl, "F_SETSIG", 0)


class AppendFile:
    """One descriptor, opened with O_APPEND, and the bytes in its file."""

    __slots__ = ("_fd", "_is_marked", "_look_at", "id", "size")

    def __init__(self, fd: int) -> None:
        status = os.fstat(fd)
        self._is_marked = _marked(fd)
        self._fd = fd
        self._look_at = 0.0  # monotonic
        self.id: Tuple[int, int] = (status.st_ino, status.st_dev)
        self.size = status.st_size

    def is_ours(self, now: float) -> bool:
        """Whether the descriptor still is this file, and the file has a name; `now` is monotonic.

        Raises what a signal handler raises.
        """
        # Once: a signal handler that writes at any moment may have it closed. fcntl raises
        # ValueError for -1, where all others raise OSError.
        fd = self._fd
        try:
            if self._is_marked:
                if fd < 0 or fcntl.fcntl(fd, _READ_MARK) != MARK:
                    return False
                if now < self._look_at:
                    return True
            status = os.fstat(fd)
        except OSError as error:  # EBADF; ESTALE of our own file
            if is_interruption(error):
                raise
            return False
        # The size too, where there is no mark: a new file may have got the inode of a removed one.
        is_same = self._is_marked or status.st_size == self.size
        self.size, self._look_at = status.st_size, now + LOOK_SECONDS
        # Without a name, the file has been removed under us (a cleanup job, a test's tmp_path):
        # writing goes on well, and nobody will ever read it.
        return is_same and (status.st_ino, status.st_dev) == self.id and status.st_nlink > 0

    def append(self, lines: bytes) -> None:
        """Write whole lines. Raises OSError."""
        if resource is not None and getsignal(SIGXFSZ) != SIG_IGN and self._exceeds(len(lines)):
            raise OSError(errno.EFBIG, os.strerror(errno.EFBIG))
        # One os.write on an O_APPEND descriptor: the line is in the kernel before the call returns,
        # so SIGKILL loses nothing, and a line is never in the middle of another. A buffered file
        # of Python would keep 8 KiB back, and a forked child would write the parent's buffer a
        # second time.
        written = os.write(self._fd, lines)
        if written != len(lines):
            # A full disk takes what fits of a line, which is no error to the kernel: ENOSPC comes
            # with the next one only. The exporter would drop a torn line and the one behind it.
            os.ftruncate(self._fd, self.size)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self.size += written

    def end_torn_line(self) -> None:
        """Write a newline if the last line has none. Raises OSError."""
        # A process before us was killed within a write, or the node lost power. Without this the
        # first line of ours would be lost with that one.
        if self.size and self.end(1) != b"\n":
            self.append(b"\n")

    def end(self, size: int) -> bytes:
        """The last bytes that are there, so many at most. Raises OSError."""
        os.lseek(self._fd, max(0, self.size - size), os.SEEK_SET)
        return os.read(self._fd, size)

    def mend(self) -> None:
        """Take back what there is of a line, where a signal handler has raised within `append`."""
        with suppress(OSError):
            if self._is_still_ours(self._fd):
                size = os.fstat(self._fd).st_size
                if size > self.size and os.pread(self._fd, 1, size - 1) != b"\n":
                    os.ftruncate(self._fd, self.size)
                else:
                    self.size = size

    def check(self) -> None:
        """Raises OSError where the descriptor is no longer this file."""
        if not self._is_still_ours(self._fd):
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))

    def close(self) -> None:
        """Close the descriptor if it still is this file."""
        # Not twice: close() may fail with EIO on NFS, and a second close of the number would hit
        # whatever the training has opened meanwhile.
        fd, self._fd = self._fd, -1
        with suppress(OSError):
            if self._is_still_ours(fd):
                os.close(fd)

    def _is_still_ours(self, fd: int) -> bool:
        if self._is_marked:
            return fd >= 0 and bool(fcntl.fcntl(fd, _READ_MARK) == MARK)
        status = os.fstat(fd)
        return (status.st_ino, status.st_dev) == self.id

    def _exceeds(self, more: int) -> bool:
        # Python ignores SIGXFSZ, and writing beyond the limit fails with EFBIG. A training that has
        # put the default action back would be killed for a line of ours.
        limit = resource.getrlimit(resource.RLIMIT_FSIZE)[0]
        return bool(limit != resource.RLIM_INFINITY and self.size + more > limit)


def _marked(fd: int) -> bool:
    try:
        if _SET_MARK:
            fcntl.fcntl(fd, _SET_MARK, MARK)
    except OSError as error:  # EINVAL: a kernel of another make (gVisor)
        if is_interruption(error):
            raise
        return False
    return bool(_SET_MARK)
