# SPDX-License-Identifier: Apache-2.0
"""Sandboxed opens below a directory that untrusted pods write to.

Whoever can write there may put a symbolic link, a FIFO, a device or a second name of a
foreign file in the place of a file or of any directory above it, at any moment. So every
name is resolved by openat2(2), which refuses links and mount points on the whole way
(O_NOFOLLOW sees the last step alone), and a file is opened for reading only after it was
seen to be a regular one: opening some devices does something by itself.
"""

from __future__ import annotations

import ctypes
import errno
import functools
import os
import platform
import stat
import time
from collections.abc import Callable

from primus_lens_toolkit.errors import CannotStart

from primus_lens_exporter.model.errors import ExporterError

SYS_OPENAT2 = 437  # the same on every architecture but alpha
# linux/openat2.h
RESOLVE_NO_XDEV, RESOLVE_NO_MAGICLINKS, RESOLVE_NO_SYMLINKS, RESOLVE_BENEATH = 1, 2, 4, 8
RESOLVE = RESOLVE_NO_XDEV | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_SYMLINKS | RESOLVE_BENEATH
READ = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY  # NONBLOCK: FIFOs, leases
DIRECTORY = READ | os.O_DIRECTORY
LOOK_SECONDS = 0.25  # a look that waits longer met a file system that hung: no tenant's fault
PLACE = os.O_PATH | os.O_CLOEXEC  # a name for it, without opening it


class NotRegular(ExporterError, OSError):
    """The path is a FIFO, a directory, a device: something a pod put in a file's place."""


class HardLink(ExporterError, OSError):
    """The file has other names, which may lie anywhere."""


class NoOpenat2(ExporterError, CannotStart):
    """This kernel cannot resolve names safely; the text says what to do."""


class _OpenHow(ctypes.Structure):
    _fields_ = (("flags", ctypes.c_uint64), ("mode", ctypes.c_uint64), ("resolve", ctypes.c_uint64))


@functools.cache
def _how(flags: int) -> _OpenHow:
    return _OpenHow(flags, 0, RESOLVE)


_libc = ctypes.CDLL(None, use_errno=True)


def openat2(directory: int, name: str, flags: int) -> int:
    """Open `name` strictly below an open directory. Raises OSError.

    ELOOP: a link on the way; EXDEV: `..`, an absolute name or a mount point.
    """
    how = _how(flags)
    size = ctypes.c_size_t(ctypes.sizeof(how))
    fd: int = _libc.syscall(SYS_OPENAT2, directory, os.fsencode(name), ctypes.byref(how), size)
    if fd < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), name)
    return fd


def require_openat2() -> None:
    """Raises NoOpenat2 where the kernel, or a sandbox around this process, lacks it."""
    here = os.open("/", PLACE)
    try:
        os.close(openat2(here, ".", PLACE))
    except OSError as error:
        if error.errno not in (errno.ENOSYS, errno.EPERM):
            raise
        raise NoOpenat2(
            f"openat2 is not available (kernel {platform.release()}: {error.strerror}); the "
            "exporter reads hostile directories only with it: use Linux 5.6 or newer, and a "
            "seccomp profile that allows openat2"
        ) from None
    finally:
        os.close(here)


class SafeDirectory:
    """A trusted directory, and the only way to what others have put below it.

    With `hold` its descriptor stays open. Without, it is closed by `release` after each
    pass: a descriptor on a network volume would keep the host from unmounting it.
    """

    def __init__(self, path: str, *, hold: bool, target: str | None = None) -> None:
        """`target`: what the path leads to, which is opened whatever becomes of the path."""
        self.path = path
        self.hold = hold
        self._target = target or path
        # Waiting is what a network volume costs. Elsewhere it only says that the node is
        # busy, and a tenant must not be put off for it.
        self.clock: Callable[[], float] = time.thread_time if hold else time.perf_counter
        """Seconds, to measure what a tenant's directory has cost."""
        self._fd: int | None = None

    def cost(self, started: float) -> float:
        """Seconds that a look at directories has cost since `started`, a time of the clock."""
        seconds = self.clock() - started
        return seconds if self.hold else min(seconds, LOOK_SECONDS)

    def open(self, name: str, flags: int) -> int:
        """A descriptor for `name`, relative to the directory. Raises OSError."""
        if self._fd is None:
            self._fd = os.open(self._target, PLACE | os.O_DIRECTORY)
        return openat2(self._fd, name, flags)

    def open_regular(self, name: str) -> tuple[int, os.stat_result]:
        """A regular file with one name, ready to read. Raises OSError.

        EWOULDBLOCK while somebody holds a lease on it (fcntl(2)): try again later.
        """
        place = self.open(name, PLACE)
        try:
            status = os.fstat(place)
            if not stat.S_ISREG(status.st_mode):
                raise NotRegular(errno.EINVAL, "not a regular file", name)
            if status.st_nlink > 1:
                raise HardLink(errno.EMLINK, "has other names", name)
            return os.open(f"/proc/self/fd/{place}", READ), status
        finally:
            os.close(place)

    def refresh(self) -> bool:
        """Notice that the directory was removed; True if another one has its path by now.

        The path itself is the operator's, and may be a link that is set to another directory.
        """
        if self._fd is None:
            return False
        try:
            found = os.stat(self.path)
        except OSError:
            self.close()
            return False
        if os.path.samestat(found, os.fstat(self._fd)):
            return False
        self.close()
        return True

    def release(self) -> None:
        """The end of a pass."""
        if not self.hold:
            self.close()

    def close(self) -> None:
        """Let go of the directory; the next `open` opens it again."""
        fd, self._fd = self._fd, None
        if fd is not None:
            os.close(fd)
