# SPDX-License-Identifier: Apache-2.0
"""One file, read forward in whole lines, whatever its writer does to it.

Only whole lines are consumed: the offset always stands at the start of a line, so a line
that is still being written, or is cut back by a full disk, is simply read again. Nothing
is kept of a file but its descriptor, its offset and its first bytes.

While the descriptor stays open, a file that was renamed or deleted is read to its end. On
network volumes it is lent for the length of a pass only: see `attach`.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator

from primus_lens_exporter.reading import decode

CHUNK = 64 * 1024  # most bytes of lines handled without a pause
CAREFUL_CHUNK = 4 * 1024  # where lines are bad, and each is taken by itself
HEAD = 64  # first bytes that tell a file from another one written in its place

GROWN, TRUNCATED, REPLACED = "grown", "truncated", "replaced"

FileId = tuple[int, int]  # device and inode: a renamed file keeps them


class Tail:
    """A position in one file, which is given open. Raises OSError where the system does."""

    __slots__ = (
        "_careful_chunk", "_chunk", "_fd", "_head", "_last", "_line_bytes", "_seen", "_skipping",
        "_too_long", "drained", "id", "offset",
    )  # fmt: skip

    def __init__(self, fd: int, line_bytes: int, careful_chunk: int = CAREFUL_CHUNK) -> None:
        self._fd = fd
        status = os.fstat(fd)
        self.id: FileId = (status.st_dev, status.st_ino)
        self._seen = 0  # modification time at the last look
        self._too_long = 0  # lines passed over, and not told yet
        self._line_bytes = line_bytes
        self._careful_chunk = careful_chunk
        self.drained = False  # whether the newest read came to the end of the file
        self._chunk = CHUNK  # most bytes of the next one
        self._skipping = False
        self._head = self._last = b""  # the first bytes, and those before the offset
        self.offset = 0

    @property
    def attached(self) -> bool:
        """Whether there is a descriptor to read from."""
        return self._fd >= 0

    def attach(self, fd: int) -> None:
        """Go on with another descriptor of the same file. Raises ValueError for another's."""
        status = os.fstat(fd)
        if (status.st_dev, status.st_ino) != self.id:
            os.close(fd)
            raise ValueError("another file has the name now")
        self._fd = fd

    def another(self) -> int:
        """A second descriptor of the file, the caller's own. Raises OSError."""
        return os.dup(self._fd)

    def detach(self) -> None:
        """Close the descriptor and keep the position."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)

    @property
    def fingerprint(self) -> str:
        """What tells the file from every other one of its process, also after a restart.

        Its first line: the inode is soon given to another file, and is another one of a copy.
        """
        if not self._head:  # a hole is in front
            return f"{self.id[1]:x}"
        return hashlib.blake2b(self._head, digest_size=12).hexdigest()

    def skip_to(self, offset: int) -> bool:
        """Go on at an offset that was reached before; False if the file never had as much."""
        known = bool(offset) and offset <= os.fstat(self._fd).st_size
        if known:
            self.offset = offset
            self._last = os.pread(self._fd, min(HEAD, offset), max(0, offset - HEAD))
        return known

    def rewind(self, offset: int) -> None:
        """Go on at the start of a line."""
        self.offset = offset
        self._last = b""

    def go_on_from(self, other: Tail) -> bool:
        """Go on where `other` was read up to, in a file that begins with the same.

        False where it does not, by its first bytes and the last ones before that place.
        """
        head, last, offset = other._head, other._last, other.offset
        same = bool(last) and os.fstat(self._fd).st_size >= offset
        same = same and os.pread(self._fd, len(head), 0) == head
        if same and os.pread(self._fd, len(last), offset - len(last)) == last:
            self.offset, self._head, self._last = offset, head, last
            self._skipping = other._skipping
            return True
        return False

    @property
    def behind(self) -> int:
        """Bytes that have not been read. 0 while there is no descriptor to ask."""
        return max(0, os.fstat(self._fd).st_size - self.offset) if self.attached else 0

    def read(self, most: int = CHUNK) -> bytes | None:
        """The next whole lines, at most about `most` bytes; None when there are none yet.

        b"" means that bytes were passed over: read again.
        """
        size = min(self._chunk, self._line_bytes, most)
        chunk = os.pread(self._fd, size, self.offset)
        self.drained = len(chunk) < size
        if not chunk:
            return None
        end = chunk.rfind(b"\n") + 1
        if not end and len(chunk) == size:
            chunk = os.pread(self._fd, self._line_bytes, self.offset)
            end = chunk.rfind(b"\n") + 1
        if not end:
            return self._without_newline(chunk)
        if not self.offset:
            self._head = chunk[: min(HEAD, chunk.index(b"\n") + 1)]
        self._last = chunk[max(0, end - HEAD) : end]
        self.offset += end
        if self._skipping:
            self._skipping = False
            return chunk[chunk.index(b"\n") + 1 : end]
        return chunk[:end]

    def decoded(self, chunk: bytes) -> decode.Batch:
        """The records of what was read last; lines passed over before it are counted too."""
        batch = decode.decode(chunk)
        bad = len(batch.records) < sum(batch.results.values())
        self._chunk = self._careful_chunk if bad else CHUNK
        if self._too_long:
            batch.results[decode.TOO_LONG] = self._too_long
            self._too_long = 0
        return batch

    def batches(self) -> Iterator[decode.Batch]:
        """All whole lines that are there now, decoded chunk by chunk."""
        while (chunk := self.read()) is not None:
            yield self.decoded(chunk)

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

    def _restart(self) -> None:
        self.offset = 0
        self._head = self._last = b""
        self._skipping = False

    def _without_newline(self, chunk: bytes) -> bytes | None:
        if chunk.count(0) == len(chunk) and self._skip_hole():
            return b""
        full = len(chunk) == self._line_bytes
        if not self._skipping and not full:
            return None  # a line that is still being written
        if not self._skipping:
            self._skipping = True
            self._too_long += 1
        self.offset += len(chunk)
        self._last = b""
        return b""

    def _skip_hole(self) -> bool:
        """Pass a terabyte of nothing in one call; False where there are real zeros.

        On a network volume those may be data that has not arrived yet.
        """
        size = os.fstat(self._fd).st_size
        self._last = b""
        try:
            hole = os.lseek(self._fd, self.offset, os.SEEK_HOLE)
            if hole >= size:  # there is always one at the end
                return False
            self.offset = os.lseek(self._fd, hole, os.SEEK_DATA)
        except OSError:  # ENXIO: nothing but a hole up to the end, or a file cut short
            self.offset = max(self.offset, size)
        return True
