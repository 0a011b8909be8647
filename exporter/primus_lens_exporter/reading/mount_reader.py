# SPDX-License-Identifier: Apache-2.0
"""Follows a file system that can hang, in a thread of its own.

A system call on one that hangs returns when it answers again, which may be never. That must cost
its own pods their new values and nobody else anything: the event loop never waits for the thread.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
import time
from collections.abc import Generator, Sequence
from concurrent.futures import Future, InvalidStateError
from queue import Empty, Queue
from typing import NamedTuple

from primus_lens_toolkit.warn_once import WarnOnce

from primus_lens_exporter.model.errors import ExporterError
from primus_lens_exporter.reading.consumer import Holder
from primus_lens_exporter.reading.counts import Counts
from primus_lens_exporter.reading.follow import READY_SECONDS, TICK_SECONDS, Follower
from primus_lens_exporter.reading.loop_consumer import LoopConsumer, Stopped
from primus_lens_exporter.reading.time_slices import SLICE_SECONDS

STUCK_SECONDS = 2.0  # without an answer for so long, a file system hangs
WATCH_SECONDS = 0.5  # between looks whether it does
STOP_SECONDS = 1.0  # a thread gets so long to end, and is left alone then
WAITING = 16  # jobs
DESCRIPTORS = 8  # that a thread needs for its looks, and holds while they hang

log = logging.getLogger(__name__)


class Stuck(ExporterError):
    """A file system does not answer."""


class Job(NamedTuple):
    """Work on the same file system that somebody waits for."""

    work: Generator[None, None, None]
    done: Future[None]
    """Cancelled where nobody waits for it any more."""


class MountReader:
    """Runs a follower, which nobody else may touch, in a thread, until `run` is cancelled."""

    def __init__(
        self, path: str, follower: Follower, consumers: Sequence[LoopConsumer], counts: Counts
    ) -> None:
        """`consumers` and `counts` are the follower's; all that it follows lies below `path`."""
        self.path = path
        self._follower = follower
        self._consumers = consumers
        self._counts = counts
        self._warn = WarnOnce(log)
        self._jobs: Queue[Job] = Queue(WAITING)
        self._stopping = threading.Event()
        self._error: BaseException | None = None
        self._ready = False
        self._began = time.monotonic()
        self._tick_at = 0.0
        self._asked_at: float | None = None
        """Since when the thread waits for the file system; None while it rests."""
        counts.tick_timestamp = time.time()
        counts.stuck[path] = 0.0

    @property
    def ready(self) -> bool:
        """Whether what was there at the start has been read, or cannot be for now."""
        if not self._ready:
            late = time.monotonic() - self._began > READY_SECONDS
            self._ready = self._follower.ready or late or self.stuck_seconds > 0
        return self._ready

    @property
    def stuck_seconds(self) -> float:
        """For how long the file system has not answered; 0 where it does."""
        since = self._asked_at
        seconds = 0.0 if since is None else time.monotonic() - since
        return seconds if seconds >= STUCK_SECONDS else 0.0

    def follows(self, holder: Holder) -> bool:
        """Whether the thread is the one that may touch the files of a rank."""
        return any(consumer.knows(holder) for consumer in self._consumers)

    async def run(self) -> None:
        """Follow until cancelled. Raises what ends the thread."""
        ended = asyncio.Event()
        args = asyncio.get_running_loop(), ended
        # A daemon: the interpreter does not wait for a thread that hangs when it ends.
        threading.Thread(target=self._work, args=args, daemon=True).start()
        try:
            while not await _is_set(ended, WATCH_SECONDS):
                self._watch()
            if self._error is not None:
                raise self._error
        finally:
            self._stop_consumers()
            self._stopping.set()
            await _is_set(ended, STOP_SECONDS)

    async def do(self, work: Generator[None, None, None]) -> None:
        """Run a generator in the thread, between two ticks.

        Raises queue.Full where too many wait, and Stuck where the file system does not answer:
        then the generator is closed as soon as it does.
        """
        job = Job(work, Future())
        self._jobs.put_nowait(job)
        done = asyncio.wrap_future(job.done)
        try:
            while not done.done():
                if self.stuck_seconds:
                    raise Stuck(f"the file system of {self.path} does not answer")
                await asyncio.wait({done}, timeout=WATCH_SECONDS)
            done.result()
        finally:
            done.cancel()

    def _stop_consumers(self) -> None:
        for consumer in self._consumers:
            consumer.stop()

    def _watch(self) -> None:
        seconds = self._counts.stuck[self.path] = self.stuck_seconds
        if seconds:
            self._warn("stuck", "file system does not answer", path=self.path)
        elif self._warn.over():
            log.info("file system answers again", extra={"path": self.path})

    def _work(self, loop: asyncio.AbstractEventLoop, ended: asyncio.Event) -> None:
        try:
            while not self._stopping.is_set():
                self._tick()
                self._do_jobs()
        except Stopped:
            pass
        except BaseException as error:
            self._error = error
        finally:
            self._stop_consumers()  # what is closed here is not gone
            self._follower.close()
            with contextlib.suppress(RuntimeError):  # the loop has been closed
                loop.call_soon_threadsafe(ended.set)

    def _tick(self) -> None:
        now = self._asked_at = time.monotonic()
        self._tick_at = now + TICK_SECONDS
        for _ in self._follower.tick(now):
            self._asked_at = time.monotonic()
        self._asked_at = None

    def _do_jobs(self) -> None:
        """Until the next tick is due; one at least, if there is any."""
        with contextlib.suppress(Empty):
            while not self._stopping.is_set():
                self._do(self._jobs.get(timeout=max(0.0, self._tick_at - time.monotonic())))
                if time.monotonic() >= self._tick_at:
                    return

    def _do(self, job: Job) -> None:
        rest_at = time.monotonic() + SLICE_SECONDS
        while self._step(job):
            now = time.monotonic()
            if now >= self._tick_at:
                self._tick()
                rest_at = time.monotonic() + SLICE_SECONDS
                self._tick_at = max(self._tick_at, rest_at + SLICE_SECONDS * 10)
            elif now >= rest_at:
                time.sleep(SLICE_SECONDS / 2)  # the event loop waits for the interpreter's lock
                rest_at = now + 2 * SLICE_SECONDS
        self._asked_at = time.monotonic()
        job.work.close()
        self._asked_at = None

    def _step(self, job: Job) -> bool:
        """Whether there is more to do."""
        if job.done.cancelled() or self._stopping.is_set():
            return False
        self._asked_at = time.monotonic()
        with contextlib.suppress(InvalidStateError):  # cancelled meanwhile
            try:
                next(job.work)
                return True
            except StopIteration:
                job.done.set_result(None)
            except Exception as error:
                job.done.set_exception(error)
        return False


async def _is_set(event: asyncio.Event, seconds: float) -> bool:
    """Wait for an event, so long at most; returns whether it is set."""
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(event.wait(), seconds)
    return event.is_set()
