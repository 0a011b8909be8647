# SPDX-License-Identifier: Apache-2.0
"""One file, read forward in whole lines, whatever its writer does to it.

Only whole lines are consumed: the offset always stands at the start of a line, so a line
that is still being written, or is cut back by a full disk, is simply read again. Nothing
is kept of a file but its descriptor, its offset and its first bytes.

The descriptor stays open: a file that was renamed or deleted is still read to its end.
"""

from __future__ import annotations

import errno
import os
import stat

from primus_lens_exporter.refusals import NotRegular

CHUNK = 64 * 1024  # most bytes of lines handled without a pause
HEAD = 64  # first bytes that tell a file from another one written in its place
OPEN_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY

GROWN, TRUNCATED, REPLACED = "grown", "truncated", "replaced"

FileId = tuple[int, int]  # device and inode: a renamed file keeps them


class Tail:
    """A position in one open file. Raises OSError where the system does."""

    __slots__ = (
        "_chunk", "_fd", "_head", "_line_bytes", "_seen", "_skipping", "id", "offset", "too_long",
    )  # fmt: skip

    def __init__(self, path: str, line_bytes: int) -> None:
        self._fd = os.open(path, OPEN_FLAGS)
        status = os.fstat(self._fd)
        if not stat.S_ISREG(status.st_mode):
            os.close(self._fd)
            raise NotRegular(errno.EINVAL, "not a regular file", path)
        self.id: FileId = (status.st_dev, status.st_ino)
        self._seen = 0  # modification time at the last look
        self.too_long = 0  # lines passed over so far
        self._line_bytes = line_bytes
        self._chunk = min(CHUNK, line_bytes)
        self._skipping = False
        self._restart()

    def read(self) -> bytes | None:
        """The next whole lines, at most about a chunk; None when there are none yet.

        b"" means that bytes were passed over: read again.
        """
        chunk = os.pread(self._fd, self._chunk, self.offset)
        if not chunk:
            return None
        end = chunk.rfind(b"\n") + 1
        if not end and len(chunk) == self._chunk:
            chunk = os.pread(self._fd, self._line_bytes, self.offset)
            end = chunk.rfind(b"\n") + 1
        if not end:
            return self._without_newline(chunk)
        if not self.offset:
            self._head = chunk[: min(HEAD, end)]
        self.offset += end
        if self._skipping:
            self._skipping = False
            return chunk[chunk.index(b"\n") + 1 : end]
        return chunk[:end]

    def rest(self) -> bytes:
        """What stands behind the last newline, for a file that nobody will write again."""
        rest = b"" if self._skipping else os.pread(self._fd, self._line_bytes, self.offset)
        self.offset += len(rest)
        return rest

    def look(self) -> str | None:
        """Whether the file has GROWN, or was TRUNCATED or REPLACED: then begins again."""
        status = os.fstat(self._fd)
        event = None
        if status.st_size < self.offset:
            event = TRUNCATED
        elif status.st_mtime_ns != self._seen:
            same = os.pread(self._fd, len(self._head), 0) == self._head
            event = GROWN if same else REPLACED
        self._seen = status.st_mtime_ns
        if event in (TRUNCATED, REPLACED):
            self._restart()
        return event

    def close(self) -> None:
        os.close(self._fd)

    def _restart(self) -> None:
        self.offset = 0
        self._head = b""
        self._skipping = False

    def _without_newline(self, chunk: bytes) -> bytes | None:
        if chunk.count(0) == len(chunk):
            self._skip_hole(len(chunk))
            return b""
        full = len(chunk) == self._line_bytes
        if not self._skipping and not full:
            return None  # a line that is still being written
        if not self._skipping:
            self._skipping = True
            self.too_long += 1
        self.offset += len(chunk)
        return b""

    def _skip_hole(self, known: int) -> None:
        """A sparse file of a terabyte of nothing is passed in one call."""
        try:
            data = os.lseek(self._fd, self.offset, os.SEEK_DATA)
        except OSError:  # ENXIO: nothing but a hole up to the end
            data = os.fstat(self._fd).st_size
        self.offset = max(data, self.offset + known)
