# SPDX-License-Identifier: Apache-2.0
"""Opens a metrics file that no other process writes: newly created, or under an exclusive lock.

NFS has no atomic append: two hosts that append to one file overwrite each other's lines. Where a
file system has no locks, it must never give out a file that it has not just created.
"""

from __future__ import annotations

import errno
import itertools
import os
from typing import List, Optional, Tuple

from primus_lens_hook import contract
from primus_lens_hook.interruption import is_interruption, suppress
from primus_lens_hook.recording.safe_open import open_regular

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

# O_RDWR: the last byte is read, to find a line that another process could not complete.
APPEND = os.O_RDWR | os.O_APPEND
NEW = APPEND | os.O_CREAT | os.O_EXCL
# What has the name is no file of ours: another user's, a link, a directory, a pipe.
UNUSABLE = (errno.EACCES, errno.EPERM, errno.ELOOP, errno.EISDIR, errno.EINVAL, errno.ENXIO)
SPARE_NAMES = 20
MOST_TRIES = 10  # where names change meanwhile, or a file system contradicts itself


def metrics_path(directory: str, middle: str) -> str:
    """The metrics file with this between the stem and the suffix of its name."""
    return os.path.join(directory, contract.METRICS_STEM + middle + contract.METRICS_SUFFIX)


def open_own(
    directory: str, preferred: str, opened: List[int], *, lock: bool
) -> Tuple[int, str, bool]:
    """A file of this process's: its descriptor, its owner part, and whether it is locked.

    The owner part is `preferred` if it can be: a process that changes it would find the runs of
    another under the new one. `lock` asks for a lock where the file system has them. The descriptor
    is in `opened`, for the caller to close, as soon as it is locked. Raises OSError.
    """
    own = ".p%d" % os.getpid()
    # Our pid may be another's too: in another container that shares the volume, or that of a dead
    # process where there are no locks to tell.
    numbers = (int.from_bytes(os.urandom(2), "big") % 1000 for _ in range(SPARE_NAMES))
    spare = ("%s%03d" % (own, number) for number in numbers)
    for owner in itertools.chain(dict.fromkeys((preferred, "", own)), spare):
        try:
            taken = _take(metrics_path(directory, owner), opened, lock)
        except OSError as error:
            # In a directory that we may not write into, this fails for a name of our own too.
            if owner == own or error.errno not in UNUSABLE or is_interruption(error):
                raise
            continue
        if taken is not None:
            return taken[0], owner, taken[1]
    raise OSError(errno.EBUSY, "other processes hold the files of this rank")


def delete_unheld(path: str) -> bool:
    """Whether the file is gone: no living process had it under a lock. Raises OSError."""
    # Under its lock: a living process holds that of its own file, and whoever opens this one
    # just now finds after its lock that the name is gone. Without locks a living process loses
    # the file, and takes a new one with its next line.
    fd = open_regular(path, APPEND)
    try:
        held = _lock(fd) is False
        if not held:
            os.unlink(path)
    finally:
        os.close(fd)
    return not held


def _take(path: str, opened: List[int], lock: bool) -> Optional[Tuple[int, bool]]:
    """The file, new or locked; None when another process holds it, or may hold it."""
    for _ in range(MOST_TRIES):
        # First as a new file: one that we have made ourselves needs no lock to be ours.
        fd, is_new = _open(path)
        opened.append(fd)
        locked = _lock(fd) if lock else None
        is_ours = locked is True or (is_new and locked is None)
        # Its owner may have renamed or deleted the file between our open and our lock: then ours
        # is a lock on a file that no longer has this name.
        if is_ours and _is_at(path, fd):
            return fd, bool(locked)
        # Once: a close that fails has closed, and the number may be another's by now.
        opened.remove(fd)
        os.close(fd)
        if not is_ours:
            return None
    raise OSError(errno.EBUSY, "the file is renamed again and again", path)


def _open(path: str) -> Tuple[int, bool]:
    for _ in range(MOST_TRIES):
        try:
            return open_regular(path, NEW), True
        except FileExistsError:
            with suppress(FileNotFoundError):  # renamed meanwhile
                return open_regular(path, APPEND), False
    raise OSError(errno.EBUSY, "the file is there and is not", path)


def _lock(fd: int) -> Optional[bool]:
    """Whether the lock is ours, or another process's; None: this file system has no locks."""
    if fcntl is None:
        return True  # Windows: a second process of a rank shares the file
    # Not lockf: locks of POSIX are lost as soon as this process closes any descriptor of the
    # file, such as that of a user's script that has a look at it.
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        # Lustre without `-o flock` (ENOSYS), NFS without a lock daemon (ENOLCK), old CIFS.
        if is_interruption(error):
            raise
        return None
    return True


def _is_at(path: str, fd: int) -> bool:
    try:
        return os.path.samestat(os.fstat(fd), os.stat(path))
    except FileNotFoundError:
        return False
