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
from typing import Any, Callable, Optional, Tuple, Union

from primus_lens_hook import interruption
from primus_lens_hook.recording.line_numbers import Line
from primus_lens_hook.warn_once import describe, warn_once

Work = Callable[[], Any]
Item = Tuple[Union[Work, Line], int]  # and its bytes

# What may wait while the file system hangs. What comes then is lost, and counted.
MOST_WAITING = 10_000
MOST_WAITING_BYTES = 16 * 1024 * 1024
# Seconds from one batch of lines to the next: each opens and closes the file, and a thousand ranks
# that do so for every line are a burden to the server of the file system. Not when much waits.
PACE = 0.5
QUARTER = MOST_WAITING // 4, MOST_WAITING_BYTES // 4
BATCH_BYTES = 64 * 1024  # that go into one write: while it hangs, the descriptor is open
EXIT_SECONDS = 2.0  # how long the end of a run or of the process waits, once for each hang


class WriterThread:
    """A queue of file work, and the thread that does it."""

    def __init__(self, failed: Callable[[Exception], None]) -> None:
        self._failed = failed  # called in the thread with what work has raised
        self._reset()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._reset)
        atexit.register(self._exit)

    def _reset(self) -> None:
        # In a forked child everything anew: the parent's thread does not exist there, and its
        # locks may be held for ever. What waits is the parent's to write.
        self.refused = 0
        """What found the queue full."""
        self._queue: queue.SimpleQueue[Item] = queue.SimpleQueue()
        self._next: Optional[Item] = None  # what has ended a batch of lines
        self._given = self._done = 0  # bytes
        self._count = 0  # of what has been done
        self._hung_at = -1  # the same, where a wait for it was in vain
        self._working = threading.Lock()
        self._thread: Optional[threading.Thread] = None
        self._write: Callable[..., Any] = len
        self._release: Optional[Work] = None
        self._hurry: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._drained_by_multiprocessing = False

    def begin(self, write: Callable[..., Any], release: Work) -> None:
        """Stay for lines from now on, and close their file after each batch."""
        self._write, self._release = write, release

    def submit(self, work: Union[Work, Line], size: int = 0) -> bool:
        """Have work of `size` bytes done later, or a line; False when too much waits already."""
        count, waiting = self._queue.qsize(), self._given - self._done
        if count >= MOST_WAITING or (waiting and waiting + size > MOST_WAITING_BYTES):
            self.refused += 1
            warn_once(
                "queue", "the file system hangs or is slow: metrics are lost; training goes on"
            )
            return False
        # Without a lock, since SimpleQueue is made for signal handlers that put within a put. The
        # sum may miss what such a handler adds, until the queue runs empty.
        self._given += size
        self._queue.put((work, size))
        if count == QUARTER[0] or waiting < QUARTER[1] <= waiting + size:
            self._hurry.put(None)
        if self._thread is None:
            self._start()
        return True

    def drain(self) -> bool:
        """Wait for all that has been handed over, for a while at most; whether it is done."""
        # One that has timed out has waited for all that come before the file system answers: a
        # process may finish a thousand runs.
        if self._thread is None or self._hung_at == self._count:
            return self._thread is None
        # Queues, not events: a signal handler that raises within Event.set may leave its lock
        # taken, and the next one would wait for ever.
        done: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._queue.put((functools.partial(done.put, None), 0))
        self._hurry.put(None)
        try:
            done.get(timeout=EXIT_SECONDS)
        except queue.Empty:
            self._hung_at = self._count
            return False
        return True

    def _exit(self) -> None:
        if not self.drain():
            waiting = self._queue.qsize()
            warn_once("hang", "the file system hangs: %d writes of metrics are lost" % waiting)

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
            util.Finalize(None, self._exit, exitpriority=-1)

    def _run(self) -> None:
        # A thread that is about to end may be replaced by the next submit: the lock keeps the
        # order, and lets one thread at a time work.
        with self._working:
            while self._next or not self._queue.empty() or self._waits():
                work, size = self._take()
                self._do(work)
                self._done += size
                self._count += 1

    def _waits(self) -> bool:
        """Wait for more, or end the thread: whether it goes on."""
        self._given = self._done = 0
        if self._release is None:
            self._thread = None
            # Once more: what was put before this has seen a thread.
            return not self._queue.empty()
        self._do(self._release)
        with contextlib.suppress(queue.Empty):
            self._hurry.get(timeout=PACE)
        return True

    def _take(self) -> Tuple[Work, int]:
        """The next work, or the write of all lines that come next."""
        (work, size), self._next = self._next or self._queue.get(), None
        if not isinstance(work, tuple):
            return work, size
        lines = []
        while size < BATCH_BYTES and not self._queue.empty():
            more, more_size = self._queue.get()
            if not isinstance(more, tuple):
                self._next = more, more_size
                break
            lines.append(more)
            size += more_size
        return functools.partial(self._write, *work, lines), size

    def _do(self, work: Work) -> None:
        try:
            work()
        except Exception as fault:
            # The thread goes on: what a tracing function raises here is nobody's to catch.
            with contextlib.suppress(Exception):
                self._failed(fault)
