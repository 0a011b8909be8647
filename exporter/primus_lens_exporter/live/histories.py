# SPDX-License-Identifier: Apache-2.0
"""Reads histories: of local files on the event loop, of others in their file system's thread.

One that hangs must keep nobody from the histories of the others.
"""

from __future__ import annotations

import asyncio
import contextlib
import queue
from collections import Counter
from collections.abc import Callable, Generator, Iterator

from primus_lens_exporter.live.history import MAX_FILES, Bounds, History, Past, Positions, Wanted
from primus_lens_exporter.model.errors import ExporterError
from primus_lens_exporter.reading.consumer import Holder
from primus_lens_exporter.reading.mount_reader import MountReader, Stuck
from primus_lens_exporter.reading.readers import Readers
from primus_lens_exporter.reading.time_slices import in_slices
from primus_lens_exporter.series.run_series import RunSeries

WAITING = 16  # charts of one place that may wait for the one being read
BUSY = "too many charts are being read; try again in a second"
NO_POSITION = {"": 1}  # of no file: all is read, and the answer says so


class NotNow(ExporterError):
    """It cannot be read now; the text says why."""


class Histories:
    """Reads one history of each place at a time."""

    def __init__(self, readers: Readers, bounds: Bounds) -> None:
        self._readers = readers
        self._bounds = bounds
        self._reading = asyncio.Lock()
        self._waiting: Counter[MountReader | None] = Counter()

    async def read(
        self, wanted: Wanted, series: RunSeries, after: Positions, asks: Callable[[], bool]
    ) -> Past:
        """What the files of a run hold behind the positions. Raises NotNow.

        `asks`: whether somebody still waits for the answer.
        """
        history = History(wanted, self._bounds)
        places = self._readers.places(series.holders)
        if len(places) > 1 and after:  # each place knows only the positions in its own files
            after = NO_POSITION
        for mount, holders in places.items():
            with self._place(mount):
                await self._read(mount, _pieces(history, holders, after), asks)
        return history.past

    async def _read(
        self,
        mount: MountReader | None,
        work: Generator[None, None, None],
        asks: Callable[[], bool],
    ) -> None:
        if mount is not None:
            try:
                await mount.do(work)
            except queue.Full:
                raise NotNow(BUSY) from None
            except Stuck as error:
                raise NotNow(str(error)) from None
            return
        async with self._reading:  # one at a time: there is one processor for it
            if not asks():
                raise NotNow(BUSY)
            await in_slices(work)

    @contextlib.contextmanager
    def _place(self, mount: MountReader | None) -> Iterator[None]:
        if self._waiting[mount] >= WAITING:
            raise NotNow(BUSY)
        self._waiting[mount] += 1
        try:
            yield
        finally:
            self._waiting[mount] -= 1


def _pieces(
    history: History, holders: list[Holder], after: Positions
) -> Generator[None, None, None]:
    """Opens the files, where it runs, and reads them."""
    files = [file for holder in holders for file in holder.past(MAX_FILES)]
    yield from history.read(files, after)
