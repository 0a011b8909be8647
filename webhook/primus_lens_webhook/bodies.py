# SPDX-License-Identifier: Apache-2.0
"""The bodies of requests that have not been answered yet. Must bound their sum.

A body may be as long as a pod, and there may be as many as connections: all of them at once are
gigabytes. Where their sum passes the bound, the longest unfinished one is dropped. So it costs
who sends much: a short body is never dropped for others' long ones.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator

from aiohttp import StreamReader
from primus_lens_toolkit import malloc

THRESHOLD = 128 << 10  # glibc's own, until it has seen larger pieces freed
TRIM_SECONDS = 5.0


class TooLong(Exception):
    """One body is longer than one may be."""


class Displaced(Exception):
    """It was dropped, since all together were too much."""


class Body:
    """One, as far as it has come."""

    def __init__(self) -> None:
        self.data = bytearray()
        self.displaced = False


class Bodies:
    """Reads bodies, of at most `longest` bytes each and `most` at once."""

    def __init__(self, longest: int, most: int, count_displaced: Callable[[], None]) -> None:
        self._longest = longest
        self._most = most
        self._count_displaced = count_displaced
        self._open: set[Body] = set()
        self._bytes = 0
        malloc.set_thresholds(THRESHOLD)  # what bodies took is given back
        self._trimming: asyncio.TimerHandle | None = None

    @contextlib.contextmanager
    def one(self) -> Iterator[Body]:
        """Counts until its request is answered."""
        body = Body()
        self._open.add(body)
        try:
            yield body
        finally:
            self._open.remove(body)
            self._bytes -= len(body.data)

    async def read(self, body: Body, content: StreamReader) -> None:
        """Read it to its end. Raises TooLong, Displaced, and what a broken connection raises."""
        while chunk := await content.readany():
            if len(body.data) + len(chunk) > self._longest:
                raise TooLong
            body.data += chunk
            self._bytes += len(chunk)
            self._make_room()
            if body.displaced:
                raise Displaced

    def _make_room(self) -> None:
        while self._bytes > self._most:
            largest = max(self._open, key=lambda each: len(each.data))
            self._bytes -= len(largest.data)
            # Its reader learns of it with the next chunk; the memory is free now.
            largest.data, largest.displaced = bytearray(), True
            self._count_displaced()
            self._trim_later()

    def _trim_later(self) -> None:
        """Small pieces that lie between larger ones keep what is freed from going back."""
        if self._trimming is None:
            loop = asyncio.get_running_loop()
            self._trimming = loop.call_later(TRIM_SECONDS, self._trim)

    def _trim(self) -> None:
        self._trimming = None
        malloc.trim()
        if any(each.displaced for each in self._open):  # its connection holds buffers
            self._trim_later()
