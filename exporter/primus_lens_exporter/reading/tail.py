# SPDX-License-Identifier: Apache-2.0
"""A place in one file, which is read forward in whole lines, whatever its writer does to it.

Only whole lines are consumed: the offset always stands at the start of a line, so a line
that is still being written, or is cut back by a full disk, is simply read again. Nothing
is kept of a file but its descriptor, its first bytes, and each reader's place in it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import NamedTuple

from primus_lens_exporter.reading import decode
from primus_lens_exporter.reading.file_handle import FileHandle

CHUNK = 64 * 1024  # most bytes of lines handled without a pause
CAREFUL_CHUNK = 4 * 1024  # where lines are bad, and each is taken by itself
HEAD = 64  # first bytes that tell a file from another one written in its place


class Place(NamedTuple):
    """Where reading goes on."""

    offset: int = 0
    last: bytes = b""
    """Bytes before the offset, as far as they are known."""

    skipping: bool = False
    """Whether it is within a line that is too long."""


BEGINNING = Place()


class Tail:
    """One reader's place in a file. Raises OSError where the system does."""

    __slots__ = (
        "_careful_chunk", "_chunk", "_line_bytes", "_too_long", "begun", "drained", "file",
        "finished", "place",
    )  # fmt: skip

    def __init__(
        self, file: FileHandle, line_bytes: int, careful_chunk: int = CAREFUL_CHUNK
    ) -> None:
        self.file = file
        self.place = BEGINNING
        self.begun = False
        """Whether the reader has said where it goes on in the file."""
        self.drained = False
        """Whether the newest read came to the end of the file."""
        self.finished = False
        """Read to its end, and nobody will write the file again."""
        self._too_long = 0  # lines passed over, and not told yet
        self._line_bytes = line_bytes
        self._careful_chunk = careful_chunk
        self._chunk = CHUNK  # most bytes of the next one

    @property
    def offset(self) -> int:
        return self.place.offset

    def restart(self) -> None:
        """The file was written anew."""
        self.place = BEGINNING
        self.begun = self.finished = False

    def skip_to(self, offset: int) -> bool:
        """Go on at an offset that was reached before; False if the file never had as much."""
        known = bool(offset) and offset <= self.file.size
        if known:
            last = os.pread(self.file.fd, min(HEAD, offset), max(0, offset - HEAD))
            self.place = Place(offset, last)
        return known

    def rewind(self, offset: int) -> None:
        """Go on at the start of a line."""
        self.place = Place(offset)

    @property
    def behind(self) -> int:
        """Bytes that have not been read. 0 while there is no descriptor to ask."""
        return max(0, self.file.size - self.offset) if self.file.attached else 0

    def read(self, most: int = CHUNK) -> bytes | None:
        """The next whole lines, at most about `most` bytes; None when there are none yet.

        b"" means that bytes were passed over: read again.
        """
        offset, _, skipping = self.place
        size = min(self._chunk, self._line_bytes, most)
        chunk = os.pread(self.file.fd, size, offset)
        self.drained = len(chunk) < size
        if not chunk:
            return None
        end = chunk.rfind(b"\n") + 1
        if not end and len(chunk) == size:
            chunk = os.pread(self.file.fd, self._line_bytes, offset)
            self.drained = len(chunk) < self._line_bytes
            end = chunk.rfind(b"\n") + 1
        if not end:
            return self._without_newline(chunk)
        if not offset:
            self.file.head = chunk[: min(HEAD, chunk.index(b"\n") + 1)]
        self.place = Place(offset + end, chunk[max(0, end - HEAD) : end])
        return chunk[chunk.index(b"\n") + 1 if skipping else 0 : end]

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
        offset, _, skipping = self.place
        rest = b"" if skipping else os.pread(self.file.fd, self._line_bytes, offset)
        self.place = Place(offset + len(rest), skipping=skipping)
        return rest

    def _without_newline(self, chunk: bytes) -> bytes | None:
        offset, _, skipping = self.place
        if chunk.count(0) == len(chunk) and self._skip_hole():
            return b""
        full = len(chunk) == self._line_bytes
        if not skipping and not full:
            return None  # a line that is still being written
        if not skipping:
            self._too_long += 1
        self.place = Place(offset + len(chunk), skipping=True)
        return b""

    def _skip_hole(self) -> bool:
        """Pass a terabyte of nothing in one call; False where there are real zeros.

        On a network volume those may be data that has not arrived yet.
        """
        offset, _, skipping = self.place
        size = self.file.size
        try:
            hole = os.lseek(self.file.fd, offset, os.SEEK_HOLE)
            if hole >= size:  # there is always one at the end
                return False
            behind = os.lseek(self.file.fd, hole, os.SEEK_DATA)
        except OSError:  # ENXIO: nothing but a hole up to the end, or a file cut short
            behind = max(offset, size)
        self.place = Place(behind, skipping=skipping)
        return True
