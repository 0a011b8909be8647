# SPDX-License-Identifier: Apache-2.0
"""What one process writes into its rank directory: a line for each call, and its runs.

It turns rows into lines and notes when runs begin and end. It must never call a method of
wandb's run, which may talk to wandb's service; what it raises, the recorder catches.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Callable, Dict, Optional, Tuple

from primus_lens_hook import contract
from primus_lens_hook.fork_safe_lock import holding
from primus_lens_hook.identity import Identity
from primus_lens_hook.recording.json_text import valid
from primus_lens_hook.recording.runs import Runs, attribute
from primus_lens_hook.recording.scalars import encode, start_of_line
from primus_lens_hook.recording.writer import Writer
from primus_lens_hook.wandb_step import as_integer

if TYPE_CHECKING:
    from primus_lens_hook.recording.writer_thread import WriterThread
    from primus_lens_hook.system.sampler import Sampler

PROGRESS = 15.0  # seconds between two updates of wandb_runs.json
TAIL = '"%s":true},"run":%s'
LATE = ',"late":true'
SAMPLE = '{"timestamp":%r,"step":null,"data":{%s},"run":%s,"sample":true}\n'

NO_RUN = (None, "", ("", ""))

CountsOf = Callable[[Any], Optional[Dict[str, int]]]  # the step fix's counters of a run


class Journal:
    """The lines and the runs of one process in one rank directory."""

    def __init__(
        self,
        writer: Writer,
        who: Identity,
        step_fix_counts: CountsOf,
        thread: Optional[WriterThread],
    ) -> None:
        self.writer = writer
        self._thread = thread  # None where the file system does not hang
        self.write: Callable[..., bool] = writer.write if thread is None else self._write_later
        self._step_fix_counts = step_fix_counts
        self.progress_due = time.time() + PROGRESS  # Unix seconds
        self.unfinished: Dict[str, Any] = {}
        self._runs = Runs(writer, who, at_once if thread is None else thread.submit)
        # Re-entrant, like the writer's: a signal handler may log or finish within a call. It
        # protects the runs; the lines need none, since the writer has a lock of its own.
        self._lock = threading.RLock()
        # The run of the newest call, its id, and how its lines end but for their number, by whether
        # they are late. One tuple, replaced as a whole: with attributes, two threads that log to
        # two runs would mix them up.
        self.newest: Tuple[Any, str, Tuple[str, str]] = NO_RUN
        self.sampler: Optional[Sampler] = None
        self._row_members = ""  # JSON members of the newest sample that are on each line

    def record(
        self,
        run: Any,
        row: Mapping[str, Any],
        step: Any,
        late: bool,
    ) -> None:
        """Write one line."""
        newest = self.newest
        if newest[0] is not run:
            run_id = id_of(run)
            newest = self.newest = (run, run_id, self._tail(run_id))
        # Also of an int: one that wandb refuses may have more digits than Python prints. And "%s"
        # would print True as it is, which is no JSON.
        step = as_integer(step)
        now = time.time()
        line = start_of_line(row, now, "null" if step is None else step)
        written = self.write((line + newest[2][late]).encode(), newest[1])
        if written and newest[1] not in self.unfinished:
            self._begin(newest[1], run)
        if now > self.progress_due:
            self.note_progress(now)

    @holding("_lock")
    def finish(self, run: Any) -> None:
        """Note the end of a run that has logged in this process."""
        # Keeps no finished run alive, and lets a resumed one begin anew.
        self.newest = NO_RUN
        run_id = id_of(run)
        if self.unfinished.pop(run_id, None) is not None:
            counts = self._step_fix_counts(run)
            self._runs.finish(run_id, run, exit_code(run), self._lost(), counts)
        if self.sampler is not None and not self.unfinished:
            self.sampler.stop()
            self._row_members = ""

    @holding("_lock")
    def sample(self, values: Mapping[str, Any], on_rows: Mapping[str, Any]) -> None:
        """Write a line of system metrics, and put a few of them on the lines that follow."""
        if not self.unfinished:
            return
        self._row_members = encode(on_rows) + "," if on_rows else ""
        run, run_id, _ = self.newest
        if run is not None:
            self.newest = (run, run_id, self._tail(run_id))
        run_id = run_id or list(self.unfinished)[-1]
        line = SAMPLE % (time.time(), encode(values), _quoted(run_id))
        # Only the first process of a rank writes system samples: those of the others would
        # be a second, different value of the same series.
        if not self.writer.is_second:
            self.write(line.encode())

    def _tail(self, run_id: str) -> Tuple[str, str]:
        tail = self._row_members + TAIL % (contract.ROW_MARK, _quoted(run_id))
        return tail, tail + LATE

    @holding("_lock")
    def _begin(self, run_id: str, run: Any) -> None:
        # After the first line, which decides whose file this process writes (`Runs`).
        # Finished by another thread since this one looked: it would seem to run for ever.
        if run_id in self.unfinished or getattr(run, "_is_finished", False) is True:
            return
        self._runs.begin(run_id, run)
        if self.sampler is not None:
            self.sampler.start()
        # Last: where a signal handler raises within this, the next line does it again.
        self.unfinished[run_id] = run

    @holding("_lock")
    def note_progress(self, now: float) -> None:
        """Update `wandb_runs.json`; `now` in Unix seconds."""
        # First, so that a failure below is not repeated by each log call that follows.
        self.progress_due = now + PROGRESS
        if self.unfinished:
            counts = {i: self._step_fix_counts(run) for i, run in self.unfinished.items()}
            self._runs.progress(counts, self._lost())

    def abandon(self) -> None:
        """Let go of the file in a forked child, whose parent goes on writing it."""
        self.writer.abandon()

    def _write_later(self, line: bytes, run_id: Optional[str] = None) -> bool:
        assert self._thread is not None
        return self._thread.submit((line, run_id), len(line))

    def _lost(self) -> int:
        return self.writer.lost + (0 if self._thread is None else self._thread.refused)


def at_once(work: Callable[[], Any]) -> bool:
    """Do file work where it is asked for: on a file system that does not hang."""
    work()
    return True


def _quoted(text: str) -> str:
    return valid(json.dumps(text))  # an id from the environment need not be UTF-8


def id_of(run: Any) -> str:
    """The run's id, without asking wandb's service for it."""
    # Not `run.id`: from 0.13 on this property first attaches a forked child to its parent's run,
    # which talks to the service, and which native wandb would not have done at this moment.
    known = (
        attribute(run, "_run_id"),
        attribute(attribute(run, "_settings"), "run_id"),
    )
    for run_id in known:
        if type(run_id) is str:  # a disabled run of an old wandb answers with a dummy object
            return run_id
    run_id = attribute(run, "id")
    return run_id if type(run_id) is str else ""


def exit_code(run: Any) -> Optional[int]:
    """The exit code wandb has for the run, else the one the process is ending with."""
    code = attribute(run, "_exit_code")
    if not isinstance(code, int):
        # sys.exit's own argument is known to nobody else at exit: wandb puts a method of its
        # ExitHooks in the place of sys.exit, and keeps the code there.
        code = getattr(getattr(sys.exit, "__self__", None), "exit_code", None)
    return code if isinstance(code, int) else None
