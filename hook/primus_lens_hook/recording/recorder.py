# SPDX-License-Identifier: Apache-2.0
"""Records each log call before wandb sees it, and catches its own errors.

An internal error, whatever it is, hands this call and every later one to wandb untouched,
prints one warning, and is written to `wandb_hook.json`. An error of the user's own objects costs
one record. It must never raise into a log call.
"""

from __future__ import annotations

import functools
import os
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Dict, Optional, Tuple, Type

from primus_lens_hook import identity, mounts
from primus_lens_hook.interruption import is_interruption, is_ours
from primus_lens_hook.recording import status
from primus_lens_hook.recording.journal import CountsOf, Journal
from primus_lens_hook.recording.rank_directory import rank_directories
from primus_lens_hook.recording.scalars import LARGE, MICROSECONDS
from primus_lens_hook.recording.writer import Writer
from primus_lens_hook.settings import Settings
from primus_lens_hook.warn_once import describe, warn_once

if TYPE_CHECKING:
    from primus_lens_hook.recording.writer_thread import WriterThread
    from primus_lens_hook.system.sampler import Sampler

JOURNAL = "journal"
NO_ROW = (None, ())  # of data that wandb will refuse


class Recorder:
    """The process's recorder; wandb's patched methods call it from any thread."""

    def __init__(
        self,
        settings: Settings,
        columns: Optional[Dict[str, Any]] = None,  # of the rows that W&B gets
        step_fix_counts: Optional[CountsOf] = None,
    ) -> None:
        self._columns = {} if columns is None else columns
        self._step_fix_counts = step_fix_counts or (lambda _run: None)
        self._system: Dict[str, Any] = {}  # what the sampler has reported, for wandb_hook.json
        self.declined: Dict[str, str] = {}  # parts, by what they lack in this wandb; there too
        self._outcome: Optional[Tuple[str, str]] = None  # what is there now
        self._max_bytes = settings.max_bytes
        self._output_path = settings.output_path if settings.save_local else None
        self._thread = self._thread_for(self._output_path)
        self._sampler = _sampler_class() if settings.enhance_metrics and self.is_on else None
        # Opened by the first log call, not here: spawned workers set RANK and LOCAL_RANK after
        # they have imported wandb, and most processes that import it never log.
        self._journal: Optional[Journal] = None
        self._made: Dict[str, Journal] = {}  # the same: for setdefault, which nothing interrupts
        self._broken = False
        self._is_child = False  # of a process that records for this rank
        if hasattr(os, "register_at_fork"):  # not on Windows
            os.register_at_fork(after_in_child=self._after_fork)

    @property
    def is_on(self) -> bool:
        """Whether the settings ask for records."""
        return self._output_path is not None

    def snapshot(self, data: Any) -> Tuple[Optional[Dict[str, Any]], Tuple[str, ...]]:
        """The row as it is now, and its keys: another thread may go on changing the caller's dict.

        None for data that wandb will refuse, for wandb to refuse. Never raises.
        """
        try:
            # The exact type first: isinstance with an ABC runs Python code, for each log call.
            if type(data) is not dict and not isinstance(data, Mapping):
                return NO_ROW
            # Copied in C, under the GIL or, where there is none, under the dict's own lock. A
            # comprehension lets another thread in between two items, and raises "dictionary changed
            # size during iteration".
            row = {**data}
            keys = tuple(row)
            # wandb raises for such keys, and that error must stay its own. Joined and hashed only
            # to have one C call look at each key: subclasses of str (numpy.str_, a str Enum) are
            # keys to wandb, unless their hash raises.
            "".join(keys)
            hash(keys)
            return row, keys
        except Exception as error:
            # Nearly always the data's own: a mapping that raises, a key that is no text.
            if is_interruption(error):
                raise
            return NO_ROW

    def record(
        self,
        run: Any,
        row: Dict[str, Any],
        step: Any,
        late: bool = False,
    ) -> None:
        """Write one log call's line. Never raises.

        `step` is the training step, or wandb's own counter, or None when neither is known.
        `late` says that the training was further already.
        """
        if self._broken or self._output_path is None:
            return
        try:
            # wandb raises for a finished run (a warning before 0.13): such a call is no record.
            # `is not True`, since a disabled run of an old wandb answers with a dummy object.
            if getattr(run, "_is_finished", False) is not True:
                journal = self._journal or self._open_journal(self._output_path)
                journal.record(run, row, step, late)
        except Exception as error:
            self.failed(error)

    def record_numbers(self, run: Any, values: Tuple[Any, ...], step: Any, template: str) -> bool:
        """The same for a row of nothing but numbers that is not late. Never raises.

        False where it has to be left to `record`; nothing has been written then.
        """
        # One function, for the sake of the log call's cost (`fast_path`).
        if self._broken or self._output_path is None:
            return True
        try:
            journal = self._journal
            if journal is None or getattr(run, "_is_finished", False) is True:
                return False
            newest = journal.newest
            # The run begins with its first line, or with the first that can be written.
            has_begun = newest[0] is run and newest[1] in journal.unfinished
            if not has_begun or type(step) is not int:
                return False
            # All finite: a sum that is not large says so for all of them at once. Of absolute
            # values, since two large ones could be 0 together.
            try:
                if not sum(map(abs, values)) < LARGE:  # True of NaN
                    return False
            except OverflowError:  # an int of 400 digits beside a float
                return False
            now = time.time()
            time_and_step = (*divmod(int(now * MICROSECONDS), MICROSECONDS), step)
            line = template % (time_and_step + values) + newest[2][0]
            journal.write(line.encode(), newest[1])
            if now > journal.progress_due:
                journal.note_progress(now)
        except Exception as error:
            self.failed(error)
        return True

    def finished(self, run: Any) -> None:
        """Note that wandb has finished a run. Never raises."""
        if self._broken or self._journal is None:
            return
        try:
            self._journal.finish(run)
            # A signal handler that finishes a run may go on to os._exit, which skips atexit.
            if self._thread is not None:
                self._thread.drain()
        except Exception as error:
            self.failed(error)

    def exiting(self) -> None:
        """Note the end of every run that was not finished. Never raises."""
        # wandb 0.31 calls no method of Run at the interpreter's exit: without this, a script
        # that never calls finish() leaves runs that look as if they went on.
        if self._journal is not None:
            for run in list(self._journal.unfinished.values()):
                self.finished(run)

    def report(self, result: str, reason: str = "") -> None:
        """Write `wandb_hook.json` of this process. Never raises."""
        self._outcome = (result, reason)
        if self._output_path is None:
            return
        # The environment is read anew: a spawned worker learns its rank after the import.
        directories = rank_directories(self._output_path, identity.read(os.environ))
        more = {"declined": self.declined, **self._system}
        record = status.describe(result, reason, more)
        work = functools.partial(status.write, directories, record)
        work() if self._thread is None else self._thread.submit(work)

    def _thread_for(self, output_path: Optional[str]) -> Optional[WriterThread]:
        """The thread that does the file work, where the file system can hang."""
        if output_path is None or mounts.hanging_type(output_path) is None:
            return None
        from primus_lens_hook.recording.writer_thread import WriterThread

        return WriterThread(self.failed)

    def decline(self, part: str, reason: str) -> None:
        """Note a part that leaves wandb alone from now on. Never raises."""
        # The first reason: the same lack shows in each run, and the file is not written for each.
        if part not in self.declined:
            self.declined = {**self.declined, part: reason}
            if self._outcome is not None:
                self.report(*self._outcome)

    def _open_journal(self, output_path: str) -> Journal:
        # Two threads may log first, or a signal handler or finalizer within this. The first that
        # is made counts, and no lock would do: a handler comes past one that its thread holds. A
        # second one would take another file, and nobody would close or finish what is in the first.
        journal = self._made.setdefault(JOURNAL, self._new_journal(output_path))
        if self._thread is not None:
            self._thread.begin(journal.writer.write, journal.writer.release)
        # Last: a thread that sees a journal takes no lock, so it must be complete.
        self._journal = journal
        return journal

    def _new_journal(self, output_path: str) -> Journal:
        who = identity.read(os.environ)
        writer = Writer(
            rank_directories(output_path, who),
            self._max_bytes,
            holds=self._thread is None,
            is_child=self._is_child,
        )
        journal = Journal(writer, who, self._step_fix_counts, self._thread)
        if self._sampler is not None:
            journal.sampler = self._sampler(journal.sample, self._columns, self._sampled_by)
        return journal

    def _sampled_by(self, system: Dict[str, Any]) -> None:
        self._system = system
        if not self._broken:
            self.report(status.PATCHED)

    def _after_fork(self) -> None:
        # The child opens files of its own at its first log call, and only then: a DataLoader
        # worker that never logs must leave no file and hold no descriptor.
        journal, self._journal, self._made = self._journal, None, {}
        if journal is not None:
            self._is_child = True
            # Where the file system can hang, so can the closing; there the file is rarely open.
            if self._thread is None:
                journal.abandon()

    def failed(self, error: Exception) -> None:
        """Give up after an error of ours; others cost what was to be recorded, and no more."""
        if is_interruption(error):
            raise error
        if is_ours(error):
            self._give_up(error)
        else:
            warn_once("lost", "a log call is not recorded: " + describe(error))

    def _give_up(self, error: Exception) -> None:
        # For good, not for this call: what failed once may fail at each call, and a training
        # logs millions of times.
        self._broken = True
        if self._journal is not None and self._journal.sampler is not None:
            self._journal.sampler.stop()
        reason = describe(error)
        warn_once("fault", "switched off after an internal error (%s)" % reason)
        self.report(status.FAILED, reason)


def _sampler_class() -> Optional[Type[Sampler]]:
    # Imported only on request: a thread that reads the machine. And now, while wandb is imported,
    # never within a log call: what a signal handler raises in a callback of Python's import
    # machinery is swallowed there.
    try:
        from primus_lens_hook.system.sampler import Sampler
    except Exception as error:  # no descriptor is left to read the module with
        if is_interruption(error):
            raise
        warn_once("sampler", "no system metrics: " + describe(error))
        return None
    return Sampler
