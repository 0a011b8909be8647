# SPDX-License-Identifier: Apache-2.0
"""Does the file work of a file system that can hang, in order, in one thread.

Whoever hands work over must never wait for it. The thread must never stay while nothing is
recorded: Python 3.12 and newer warn a process with threads that forks.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import os
import queue
import sys
import threading
import time
from typing import Any, Callable, Optional, Tuple

from primus_lens_hook import interruption
from primus_lens_hook.warn_once import describe, warn_once

Work = Callable[[], Any]

# What may wait while the file system hangs. What comes then is lost, and counted.
MOST_WAITING = 10_000
MOST_WAITING_BYTES = 16 * 1024 * 1024
# Seconds from one batch of lines to the next: each opens and closes the file, and a thousand ranks
# that do so for every line are a burden to the server of the file system.
PACE = 0.5
EXIT_SECONDS = 2.0  # how long a process waits for the file system where it or a run ends, in all


class WriterThread:
    """A queue of file work, and the thread that does it."""

    def __init__(self, failed: Callable[[Exception], None]) -> None:
        self._failed = failed  # called in the thread with what work has raised
        self.refused = 0
        """What found the queue full."""
        self._release: Optional[Work] = None  # closes the file after each batch
        self._patience = EXIT_SECONDS
        self._reset()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._reset)
        atexit.register(self.drain)

    def begin(self, release: Work) -> None:
        """Stay for lines from now on; `release` closes their file after each batch."""
        self._release = release

    def submit(self, work: Work, size: int = 0) -> bool:
        """Have work of `size` bytes done later; False when too much waits already."""
        waiting = self._given - self._done
        if self._queue.qsize() >= MOST_WAITING or waiting + size > MOST_WAITING_BYTES:
            self.refused += 1
            warn_once(
                "queue", "the file system hangs or is slow: metrics are lost; training goes on"
            )
            return False
        # Without a lock, since SimpleQueue is made for signal handlers that put within a put. The
        # sum may miss what such a handler adds, until the queue runs empty.
        self._given += size
        self._queue.put((work, size))
        if self._thread is None:
            self._start()
        return True

    def drain(self) -> None:
        """Wait until all is done that has been handed over, for a while at most."""
        if self._thread is None or self._patience <= 0:
            return
        # Queues, not events: a signal handler that raises within Event.set may leave its lock
        # taken, and the next one would wait for ever.
        done: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._queue.put((functools.partial(done.put, None), 0))
        self._hurry.put(None)
        started = time.monotonic()
        try:
            done.get(timeout=self._patience)
        except queue.Empty:
            # But for `done`, and with what the thread is at.
            lost = self._queue.qsize()
            warn_once("hang", "the file system hangs: %d writes of metrics are lost" % lost)
        # One sum for the whole process: it may finish a thousand runs.
        self._patience -= time.monotonic() - started

    def _reset(self) -> None:
        # In a forked child everything anew: the parent's thread does not exist there, and its
        # locks may be held for ever. What waits is the parent's to write.
        self._queue: queue.SimpleQueue[Tuple[Work, int]] = queue.SimpleQueue()
        self._given = self._done = 0  # bytes
        self._working = threading.Lock()
        self._thread: Optional[threading.Thread] = None
        self._release = None
        self._hurry: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._drained_by_multiprocessing = False

    def _start(self) -> None:
        self._drain_before_os_exit()
        # Daemon: Python waits for other threads at exit, without end.
        thread = threading.Thread(target=self._run, name="primus-lens-writer", daemon=True)
        self._thread = thread
        try:
            interruption.start(thread)
        except RuntimeError as error:  # as many as the container may have; the next call tries
            if interruption.is_interruption(error):
                raise
            self._thread = None
            warn_once("thread", "metrics wait in memory: %s" % describe(error))

    def _drain_before_os_exit(self) -> None:
        # multiprocessing ends its children by os._exit, which skips atexit.
        util = sys.modules.get("multiprocessing.util")
        if util is not None and not self._drained_by_multiprocessing:
            self._drained_by_multiprocessing = True
            util.Finalize(None, self.drain, exitpriority=-1)

    def _run(self) -> None:
        # A thread that is about to end may be replaced by the next submit: the lock keeps the
        # order, and lets one thread at a time work.
        with self._working:
            while True:
                if self._queue.empty():
                    self._given = self._done = 0
                    if self._release is None:
                        self._thread = None
                        # Once more: what was put before this has seen a thread.
                        if self._queue.empty():
                            return
                    else:
                        self._do(self._release)
                        with contextlib.suppress(queue.Empty):
                            self._hurry.get(timeout=PACE)
                work, size = self._queue.get()
                self._do(work)
                self._done += size

    def _do(self, work: Work) -> None:
        try:
            work()
        except Exception as fault:
            # The thread goes on: what a tracing function raises here is nobody's to catch.
            with contextlib.suppress(Exception):
                self._failed(fault)
