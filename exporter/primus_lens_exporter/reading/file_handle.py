# SPDX-License-Identifier: Apache-2.0
"""One descriptor of a file, shared by all who read the file, each of whom has a `Tail` of its own.

While the descriptor stays open, a file that was renamed or deleted is read to its end. On
network volumes it is lent for the length of a pass only: see `attach`.
"""

from __future__ import annotations

import hashlib
import os

FileId = tuple[int, int]  # device and inode: a renamed file keeps them


class FileHandle:
    """A file, which is given open. Raises OSError where the system does."""

    __slots__ = ("fd", "head", "id")

    def __init__(self, fd: int) -> None:
        self.fd = fd
        """Negative while there is none."""
        status = os.fstat(fd)
        self.id: FileId = (status.st_dev, status.st_ino)
        self.head = b""
        """Its first bytes, which tell it from another one in its place; empty until read."""

    @property
    def attached(self) -> bool:
        """Whether there is a descriptor to read from."""
        return self.fd >= 0

    def attach(self, fd: int) -> None:
        """Go on with another descriptor of the same file. Raises ValueError for another's."""
        status = os.fstat(fd)
        if (status.st_dev, status.st_ino) != self.id:
            os.close(fd)
            raise ValueError("another file has the name now")
        self.fd = fd

    def another(self) -> int:
        """A second descriptor of the file, the caller's own. Raises OSError."""
        return os.dup(self.fd)

    def detach(self) -> None:
        """Close the descriptor."""
        fd, self.fd = self.fd, -1
        if fd >= 0:
            os.close(fd)

    @property
    def size(self) -> int:
        """Bytes in it now."""
        return os.fstat(self.fd).st_size

    def holds(self, text: bytes, offset: int) -> bool:
        """Whether these bytes are there."""
        return os.pread(self.fd, len(text), offset) == text

    @property
    def fingerprint(self) -> str:
        """What tells the file from every other one of its process, also after a restart.

        Its first line: the inode is soon given to another file, and is another one of a copy.
        """
        if not self.head:  # a hole is in front
            return f"{self.id[1]:x}"
        return hashlib.blake2b(self.head, digest_size=12).hexdigest()
