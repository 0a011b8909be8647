# SPDX-License-Identifier: Apache-2.0
"""Appends lines to the rank's JSONL so that a line, once written, survives SIGKILL.

A process holds an exclusive lock on its file; a second process with the same rank (a forked
child, say) takes a file of its own. It must never leave a torn line, never write to a descriptor
that is not its file, and never raise for what is wrong with the file system.
"""

from __future__ import annotations

import errno
import os
import threading
import time
from typing import List, Optional, Sequence

from primus_lens_hook.fork_safe_lock import holding, let_go
from primus_lens_hook.interruption import is_interruption
from primus_lens_hook.recording import retention
from primus_lens_hook.recording.append_file import AppendFile
from primus_lens_hook.recording.line_numbers import Line, LineNumbers
from primus_lens_hook.recording.own_file import APPEND, metrics_path, open_own
from primus_lens_hook.recording.safe_open import open_regular
from primus_lens_hook.warn_once import warn_once

# The bytes a rank may keep are split into this many files: rotation deletes the oldest, so the
# newest three quarters are always there.
SEGMENTS = 4
# Seconds without an attempt after a failure: on a full disk an open may take long, within a log
# call. Twice as many after each, since want of descriptors is over soon and a full disk is not.
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 30.0
# The directory is another user's: an earlier run by root, another container of the pod.
DENIED = (errno.EACCES, errno.EPERM, errno.EROFS)
# The descriptor has been closed under us, or a server has replaced the file.
GONE = (errno.EBADF, errno.ESTALE)


class Writer:
    """The current segment of one process in one rank directory.

    `directories` are places for it, in order of preference. Where `holds` is false the file is
    neither locked, nor open after `release`. Threads may share a Writer; a forked child must make
    its own.
    """

    def __init__(
        self,
        directories: Sequence[str],
        max_bytes: int,
        *,
        holds: bool = True,
        is_child: bool = False,
    ) -> None:
        self.directory: Optional[str] = None
        """Where it writes; None until a file has been opened."""
        self.owner = ""
        """What sets this process's files apart: "", or ".p{pid}" in a second process of a rank."""
        self.is_second = is_child
        """Whether another process is known to write for this rank."""
        self.lost = 0
        """Lines that could not be written."""
        self.numbers = LineNumbers()
        """Of the newest line of each run."""
        self._directories = directories
        self._holds = holds
        self._is_child = is_child
        self._max_bytes = max_bytes
        self._segment_bytes = max_bytes // SEGMENTS
        self._file: Optional[AppendFile] = None
        self._last_id = (0, 0)  # of the file that was opened last
        self._retry_at = 0.0  # monotonic
        self._pause = FIRST_PAUSE
        self._is_opening = False
        self._interrupting: List[Line] = []  # what signal handlers have logged meanwhile
        # Re-entrant: a signal handler that logs may interrupt the very thread that writes, and
        # with a plain Lock would wait for itself for ever.
        self._lock = threading.RLock()

    def write(
        self,
        line: bytes,
        run: Optional[str] = None,
        more: Sequence[Line] = (),
        *,
        is_retry: bool = False,
    ) -> bool:
        """Append a line, and more of them; False when they could not be written.

        A line of a run ends before its `}`, and gets the run's next number.
        """
        lock, now = self._lock, 0.0
        try:
            with lock:
                # Within an open or a rotation, in a signal handler of their thread: a second one
                # would leave the first one's file open for ever.
                if self._is_opening:
                    self._interrupting += ((line, run), *more)
                    return True
                # Not time.time(): a clock that is set back would stop the retries for hours.
                now = time.monotonic()
                file = self._file
                if file is None or not file.is_ours(now):
                    if now < self._retry_at:
                        self.lost += 1 + len(more)
                        return False
                    file = self._open()
                self._append(file, line, run, more)
                self._pause = FIRST_PAUSE
                if self._interrupting:
                    self._write_interrupting()
                return True
        except BaseException as error:
            is_outermost = let_go(lock)
            if not isinstance(error, OSError) or is_interruption(error):
                if is_outermost:
                    self._mend()
                raise
            return self._retry(error, now, ((line, run), *more), is_retry)

    def _write_interrupting(self) -> None:
        lines: List[Line] = []
        # One by one: a handler that logs at this moment takes those that are left.
        try:
            while True:
                lines.append(self._interrupting.pop(0))
        except IndexError:
            pass
        if lines:
            (line, run), *more = lines
            self.write(line, run, more)

    def _append(
        self, file: AppendFile, line: bytes, run: Optional[str], more: Sequence[Line]
    ) -> None:
        text = self.numbers.numbered(line, run, more)
        try:
            if file.size and file.size + len(text) > self._segment_bytes:
                file = self._rotate()
            file.append(text)
        except OSError:
            self.numbers.take_back(run, more)  # a line that is lost has no number
            raise

    @holding("_lock")
    def _mend(self) -> None:
        self._is_opening = False  # a tracing function may leave this mark
        if self._file is not None:
            self._file.mend()

    @holding("_lock")
    def _retry(self, error: OSError, now: float, lines: Sequence[Line], is_retry: bool) -> bool:
        if error.errno in GONE and not is_retry:
            self.release()
            (line, run), *more = lines
            return self.write(line, run, more, is_retry=True)
        self._suspend(error, now, len(lines))
        return False

    def release(self) -> None:
        """Close the file until the next line."""
        # A descriptor that is open while its file system hangs keeps this process, and each child
        # that inherits it, from ending: the kernel closes it then, and waits (FUSE, NFS).
        file, self._file = self._file, None
        if file is not None:
            file.close()

    def abandon(self) -> None:
        """Let go of the file in a forked child, whose parent goes on writing it."""
        # close() alone: the lock belongs to the open file, which parent and child share, so an
        # explicit LOCK_UN here would take it from the parent.
        self.release()

    def _open(self) -> AppendFile:
        """Open our file again, or take one in the first directory that lets us."""
        self._is_opening = True
        try:
            self.release()  # of a file without a name
            if not self._holds and self.directory is not None:
                file = self._open_again(metrics_path(self.directory, self.owner))
                if file is not None:
                    return file
            file = self._take()
            self._last_id = file.id
            assert self.directory is not None
            if self.numbers.of != (self.directory, self.owner):
                self.numbers = LineNumbers(self.directory, self.owner, file)
            file.end_torn_line()
            self._prune()
            # All of this takes a while, in which another thread may close descriptors and open its
            # own, as a daemon does.
            file.check()
            return file
        finally:
            self._is_opening = False

    def _open_again(self, path: str) -> Optional[AppendFile]:
        """The file that `release` has closed, unless another is there by now."""
        try:
            fd = open_regular(path, APPEND)
        except FileNotFoundError:
            return None
        try:
            file = AppendFile(fd)
        except BaseException:
            os.close(fd)
            raise
        if file.id == self._last_id:
            self._file = file
            return file
        file.close()
        return None

    def _take(self) -> AppendFile:
        for directory in self._directories[:-1]:
            try:
                return self._take_in(directory)
            except OSError as error:
                if error.errno not in DENIED or is_interruption(error):
                    raise
        return self._take_in(self._directories[-1])

    def _take_in(self, directory: str) -> AppendFile:
        os.makedirs(directory, exist_ok=True)
        opened: List[int] = []
        try:
            fd, self.owner, locked = open_own(directory, self.owner, opened, lock=self._holds)
            # Without a lock, a file of our own says nothing: the others may be of ended processes.
            self.is_second = self.owner != "" if locked else self._is_child
            self.directory = directory
            self._file = file = AppendFile(fd)
            return file
        except BaseException:
            # One that stays open keeps its lock: this process would be the second of its rank.
            if self._file is None:
                for each in opened:
                    os.close(each)
            raise

    def _rotate(self) -> AppendFile:
        """Give the full segment a number and open a new one."""
        assert self.directory is not None
        self._is_opening = True
        try:
            # Renamed while it is open: a reader that follows the inode reads it to its end.
            retention.set_aside(self.directory, self.owner)
        finally:
            self._is_opening = False
        return self._open()

    def _prune(self) -> None:
        assert self.directory is not None
        try:
            retention.prune(self.directory, self.owner, self._max_bytes - self._segment_bytes)
        except OSError as error:  # no descriptor is left for the listing
            if is_interruption(error):
                raise

    def _suspend(self, error: OSError, now: float, lines: int) -> None:
        self.release()
        self.lost += lines + len(self._interrupting)
        self._interrupting.clear()
        self._retry_at = now + self._pause
        self._pause = min(2 * self._pause, LONGEST_PAUSE)
        where = self.directory or self._directories[0]
        warn_once(
            "write",
            "metrics are not saved for now (%s): %s; training goes on"
            % (where, error.strerror or error),
        )
