# SPDX-License-Identifier: Apache-2.0
"""Takes records, commits their samples to the spool each second, and has them sent.

The spool is read and written in one thread of its own, one call after the other, so that
no scrape waits for a disk.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import sqlite3
import time
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from primus_lens_toolkit.warn_once import WarnOnce

from primus_lens_exporter.model.labels import Labels
from primus_lens_exporter.model.record import Record
from primus_lens_exporter.model.rounds import Round
from primus_lens_exporter.model.series_rules import SeriesRules
from primus_lens_exporter.reading.consumer import Consumer, Holder
from primus_lens_exporter.samples import SampleBuilder, in_order
from primus_lens_exporter.sending.batch import Batch
from primus_lens_exporter.sending.client import Client
from primus_lens_exporter.sending.counter_starts import CounterStarts
from primus_lens_exporter.sending.pace import Pace
from primus_lens_exporter.sending.sender import Sender
from primus_lens_exporter.sending.spool import Commit, Entry, Spool
from primus_lens_exporter.sending.telemetry import SendingTelemetry
from primus_lens_exporter.sending.wire_format import REQUEST_SAMPLES, WireFormat

PENDING_SAMPLES = 10 * REQUEST_SAMPLES  # in memory, between two ticks of the follower
COMMIT_SECONDS = 1.0  # the longest that a sample waits in memory
RETRY_SECONDS = 1.0  # after the spool could not be read
UNCLAIMED_SECONDS = 3600.0  # then a file that nobody opened again is taken to be gone

Result = TypeVar("Result")

log = logging.getLogger(__name__)


class Outbox(Consumer):
    """Give it to a `Follower`, and run `run` beside that until cancelled."""

    def __init__(
        self,
        spool: Spool,
        limit_bytes: int,
        client: Client,
        form: WireFormat,
        telemetry: SendingTelemetry,
        rules: SeriesRules,
        added: Labels,
    ) -> None:
        """From here on the spool is the outbox's; it is closed with it."""
        self._spool = spool
        self._limit_bytes = limit_bytes
        self._client = client
        self._form = form
        self._telemetry = telemetry
        self._positions = spool.positions()
        self._clocks = spool.clocks()
        self._starts = CounterStarts(spool.starts())
        self._unclaimed = set(self._positions)
        self._builder = SampleBuilder(form.identify, rules, added, self._clocks)
        self._pace = Pace(time.monotonic())
        self._files: defaultdict[Holder, set[str]] = defaultdict(set)
        self._batch = Batch()
        self._sealed: Batch | None = None
        self._commit_due: Commit | None = None
        """Both are on their way to the spool: encoded once, however often that is tried."""
        self._failing = False
        self._closed = False
        self._waiting_since: float | None = None
        self._warn = WarnOnce(log)
        self._warn_disk = WarnOnce(log)
        self._enough = asyncio.Event()
        self._filled = asyncio.Event()
        self._disk = ThreadPoolExecutor(1, "spool")
        telemetry.set_aside.inc(spool.set_aside)

    @property
    def accepting(self) -> bool:
        return not self._blocked and len(self._batch.samples) < PENDING_SAMPLES

    def accepts(self, holder: Holder) -> bool:
        """Whether this rank may be read further now."""
        return self._pace.allows(holder, time.monotonic()) and self.accepting

    def resume(self, file: str) -> int:
        self._unclaimed.discard(file)
        return self._positions.get(file, 0)

    def take(
        self, labels: Labels, records: list[Record], positions: Mapping[str, int], holder: Holder
    ) -> None:
        if self._closed:  # what is in memory is being written
            return
        samples = self._builder.take(labels, in_order(records), holder)
        self._batch.add(samples)
        if samples:
            self._pace.advance(holder, samples[-1][1])
        self._batch.positions.update(positions)
        self._positions.update(positions)
        self._files[holder].update(positions)
        self._taken(labels)

    def take_aggregates(
        self, labels: Labels, run_id: str, rounds: Sequence[Round], holders: Collection[Holder]
    ) -> None:
        if not self._closed:
            self._batch.add(list(self._builder.take_aggregates(labels, run_id, rounds, holders)))
            self._taken(labels)

    def end_aggregates(self, labels: Labels, run_id: str) -> None:
        self._end_run(labels, run_id)

    def end(self, labels: Labels, run_id: str, finish: float, holder: Holder) -> None:
        del finish, holder
        self._end_run(labels, run_id)

    def _end_run(self, labels: Labels, run_id: str) -> None:
        if not (self._closed or self._blocked):  # else its last records may still be in their files
            self._batch.forget(self._builder.end(labels, run_id))

    def forget(self, file: str) -> None:
        """The file is gone, and was read to its end."""
        if not self._closed and self._positions.pop(file, None) is not None:
            self._batch.positions[file] = None

    def release(self, holder: Holder) -> None:
        """Once closed, nothing is forgotten: the files are still there at the next start."""
        if self._closed:
            return
        self._pace.release(holder)
        for file in self._files.pop(holder, ()):
            self.forget(file)
        self._batch.forget(self._builder.release(holder))

    async def run(self) -> None:
        """Commit and send until cancelled; what is in memory then is committed."""
        sending = asyncio.create_task(self._send())
        prune_at = time.monotonic() + UNCLAIMED_SECONDS
        try:
            while not sending.done():
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._enough.wait(), COMMIT_SECONDS)
                self._enough.clear()
                await self._commit()
                self._report()
                if time.monotonic() >= prune_at and not self._blocked:
                    self._prune()
            sending.result()  # it never ends by itself: this raises what ended it
        finally:
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)
            await self.close()

    async def close(self) -> None:
        """Commit what is in memory, and close the spool."""
        if self._closed:
            return
        self._closed = True
        await self._on_disk(self._finish)
        self._disk.shutdown()

    def _finish(self) -> None:
        try:
            while self._seal():
                self._write()
        except sqlite3.Error as error:  # what it is about is read again at the next start
            log.warning("spool not written at the end", extra={"error": str(error)})
        self._spool.close()

    @property
    def _blocked(self) -> bool:
        return self._failing or self._spool.bytes >= self._limit_bytes

    def _seal(self) -> bool:
        """Whether there is something to be written."""
        if self._sealed is None and self._batch:
            self._sealed, self._batch = self._batch, Batch()
            self._sealed.stop_clocks()
        return self._sealed is not None

    def _write(self) -> None:
        assert self._sealed is not None
        if self._commit_due is None:
            self._commit_due = self._sealed.commit(self._form, self._starts)
        self._spool.commit(self._commit_due)
        self._sealed = self._commit_due = None

    async def _commit(self) -> None:
        if not self._seal():
            return
        try:
            await self._on_disk(self._write)
        except sqlite3.Error as error:
            self._failing = True
            self._note(error)
        else:
            self._failing = False
            self._warn_disk.over()
            self._filled.set()

    async def _send(self) -> None:
        resumed = self._spool.entries > 0
        settled: Entry | None = None
        async with self._client:
            sender = Sender(self._client, self._form, self._telemetry)
            while True:
                try:
                    entry = await self._next(settled)
                except sqlite3.Error as error:
                    self._note(error)
                    await asyncio.sleep(RETRY_SECONDS)
                    continue
                await sender.settle(entry, resumed=resumed)
                settled, resumed = entry, False

    async def _next(self, settled: Entry | None) -> Entry:
        """The request to send now; the settled one is removed first."""
        if settled is not None:
            await self._on_disk(functools.partial(self._spool.remove, settled))
        while True:
            self._filled.clear()
            entry = await self._on_disk(self._spool.oldest)
            if entry is not None:
                return entry
            await self._filled.wait()

    async def _on_disk(self, call: Callable[[], Result]) -> Result:
        return await asyncio.get_running_loop().run_in_executor(self._disk, call)

    def _prune(self) -> None:
        """Files that went while no exporter ran, and their series."""
        for file in self._unclaimed:
            self.forget(file)
        self._unclaimed.clear()
        self._batch.forget(list(self._clocks))
        self._clocks.clear()

    def _taken(self, labels: Labels) -> None:
        """Samples of these labels were taken."""
        self._count_dropped(labels)
        if len(self._batch.samples) >= REQUEST_SAMPLES:
            self._enough.set()

    def _count_dropped(self, labels: Labels) -> None:
        for reason, samples in self._builder.dropped.items():
            self._telemetry.dropped.labels(reason).inc(samples)
            self._warn(reason, "samples dropped", reason=reason, **dict(labels))
        self._builder.dropped.clear()

    def _note(self, error: sqlite3.Error) -> None:
        self._telemetry.spool_errors.inc()
        self._warn_disk("disk", "spool cannot be used, trying again", error=str(error))

    def _report(self) -> None:
        telemetry, now = self._telemetry, time.monotonic()
        telemetry.spool_bytes.set(self._spool.bytes)
        telemetry.spool_entries.set(self._spool.entries)
        if not self._blocked:
            self._waiting_since = None
            return
        if self._waiting_since is None:
            telemetry.waits.inc()
            self._warn("full", "spool takes no more, lines wait in their files")
        else:
            telemetry.waited.inc(now - self._waiting_since)
        self._waiting_since = now
