# SPDX-License-Identifier: Apache-2.0
"""Sandboxed opens in a rank directory: others who share the volume are untrusted.

It must never follow a link, wait for a device or a pipe, or give out a standard descriptor.
"""

from __future__ import annotations

import errno
import os
import stat

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

# O_NOFOLLOW: whoever may write into the directory may put a link in a file's place, and a training
# that runs as root would write to its target. O_NONBLOCK: to open a pipe waits for its other
# end. O_BINARY: Windows would write \r\n.
FLAGS = 0
for _name in ("O_CLOEXEC", "O_NOFOLLOW", "O_NONBLOCK", "O_BINARY"):
    FLAGS |= getattr(os, _name, 0)
STANDARD = 3  # 0 to 2: input, output, errors


def open_regular(path: str, flags: int) -> int:
    """A descriptor of a regular file. Raises OSError; EINVAL where it is something else."""
    fd = _above_standard(os.open(path, flags | FLAGS, 0o644))
    try:
        # fstat of what was opened: a stat before the open could be of another file. A second name
        # is a link too: whoever shares the volume may have given one to a file of somebody else's.
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode) or status.st_nlink > 1:
            raise OSError(errno.EINVAL, "not a regular file of one name", path)
    except BaseException:
        os.close(fd)
        raise
    return fd


def _above_standard(fd: int) -> int:
    # A program that was started with a closed stderr: our file would get its number, and what the
    # libraries of the training print would be written between our lines.
    if fd >= STANDARD or fcntl is None:
        return fd
    try:
        return fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, STANDARD)
    finally:
        os.close(fd)
