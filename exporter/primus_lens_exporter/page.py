# SPDX-License-Identifier: Apache-2.0
"""The `/metrics` page: the training's series and the exporter's own, plain or gzipped.

The compressed series are kept until the store changes, so that a second Prometheus costs
only the exporter's own metrics. Pure: bytes in, bytes out.
"""

from __future__ import annotations

import struct
import zlib

from isal import isal_zlib

from primus_lens_exporter.store import Store
from primus_lens_exporter.telemetry import Telemetry

LEVEL = 1  # isal's: a ninth of the size in a third of zlib's fastest
GZIP_HEAD = b"\x1f\x8b\x08\0\0\0\0\0\x04\xff"


class Page:
    """Renders the page on demand."""

    def __init__(self, store: Store, telemetry: Telemetry) -> None:
        self._store = store
        self._telemetry = telemetry
        self._generation = -1
        self._series = b""
        self._deflated: bytes | None = None

    def plain(self) -> bytes:
        """The text format, version 0.0.4."""
        return self._current_series() + self._own()

    def gzipped(self) -> bytes:
        """The same as one gzip member (RFC 1952), made of two deflated halves.

        The first half ends on a byte boundary (a full flush), so the second can follow it.
        """
        series, own = self._current_series(), self._own()
        if self._deflated is None:
            self._deflated = _deflate(series, zlib.Z_FULL_FLUSH)
        checksum = zlib.crc32(own, zlib.crc32(series))
        trailer = struct.pack("<II", checksum, (len(series) + len(own)) & 0xFFFFFFFF)
        return b"".join((GZIP_HEAD, self._deflated, _deflate(own, zlib.Z_FINISH), trailer))

    def _current_series(self) -> bytes:
        if self._generation != self._store.generation:
            self._generation = self._store.generation
            self._series = self._store.render()
            self._deflated = None
        return self._series

    def _own(self) -> bytes:
        self._telemetry.series.set(len(self._store))
        return self._telemetry.render()


def _deflate(data: bytes, flush: int) -> bytes:
    deflater = isal_zlib.compressobj(LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS)
    return deflater.compress(data) + deflater.flush(flush)
