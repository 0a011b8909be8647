# SPDX-License-Identifier: Apache-2.0
"""The `/metrics` page: the training's series and the exporter's own, plain or gzipped.

The compressed series are kept until the store changes, so that a second Prometheus costs
only the exporter's own metrics; the plain ones are not, for they are the largest thing in
memory. Pure: bytes in, bytes out.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable
from typing import NamedTuple

from isal import isal_zlib

from primus_lens_exporter.series.store import Store
from primus_lens_exporter.serving.telemetry import Telemetry

LEVEL = 1  # isal's: a ninth of the size in a third of zlib's fastest
GZIP_HEAD = b"\x1f\x8b\x08\0\0\0\0\0\x04\xff"


class Deflated(NamedTuple):
    """The compressed series, and what a gzip trailer says of them."""

    data: bytes
    checksum: int
    size: int


class Page:
    """Renders the page on demand."""

    def __init__(self, store: Store, telemetry: Telemetry) -> None:
        self._store = store
        self._telemetry = telemetry
        self._generation = -1
        self._series = Deflated(b"", 0, 0)

    def plain(self) -> list[bytes]:
        """The text format, version 0.0.4, in parts."""
        return [*self._store.parts(), self._own()]

    def gzipped(self) -> bytes:
        """The same as one gzip member (RFC 1952), made of two deflated halves.

        The first half ends on a byte boundary (a full flush), so the second can follow it.
        """
        if self._generation != self._store.generation:
            self._generation = self._store.generation
            self._series = _deflated(self._store.parts())
        own, series = self._own(), self._series
        checksum = isal_zlib.crc32(own, series.checksum)
        trailer = struct.pack("<II", checksum, (series.size + len(own)) & 0xFFFFFFFF)
        return b"".join((GZIP_HEAD, series.data, _deflate_last(own), trailer))

    def _own(self) -> bytes:
        self._telemetry.series.set(len(self._store))
        return self._telemetry.render()


def _deflated(parts: Iterable[bytes]) -> Deflated:
    deflater = isal_zlib.compressobj(LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS)
    data, checksum, size = [], 0, 0
    for part in parts:
        data.append(deflater.compress(part))
        checksum = isal_zlib.crc32(part, checksum)
        size += len(part)
    data.append(deflater.flush(zlib.Z_FULL_FLUSH))
    return Deflated(b"".join(data), checksum, size)


def _deflate_last(data: bytes) -> bytes:
    deflater = isal_zlib.compressobj(LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS)
    last: bytes = deflater.compress(data) + deflater.flush(zlib.Z_FINISH)
    return last
