# SPDX-License-Identifier: Apache-2.0
"""Turns each log call into one line of the rank's JSONL, before wandb sees the call.

The fence stands here: a fault of ours, whatever it is, hands this and every later call
to wandb untouched, says one line, and is written to `wandb_hook.json`.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Callable, Dict, Optional, Tuple

from primus_lens_hook import contract, identity
from primus_lens_hook.interruption import from_signal_handler
from primus_lens_hook.recording import status
from primus_lens_hook.recording.runs import Runs
from primus_lens_hook.recording.scalars import encode, start_of_line
from primus_lens_hook.recording.writer import Writer
from primus_lens_hook.settings import Settings
from primus_lens_hook.wandb_step import as_integer
from primus_lens_hook.warn_once import describe, warn_once

if TYPE_CHECKING:
    from primus_lens_hook.system.sampler import Sampler

PROGRESS = 15.0  # seconds between two updates of wandb_runs.json
TAIL = '"%s":true},"run":%s'
END = "}\n"
LATE = ',"late":true}\n'
SAMPLE = '{"timestamp":%r,"step":null,"data":{%s},"run":%s,"sample":true}\n'
_STRING = {str}

CountsOf = Callable[[Any], Optional[Dict[str, int]]]  # the step fix's counters of a run


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
        self._enhance_metrics = settings.enhance_metrics
        self._system: Dict[str, Any] = {}  # what the sampler has told, for wandb_hook.json
        self._max_bytes = settings.max_bytes
        self._output_path = settings.output_path if settings.save_local else None
        self._journal: Optional[Journal] = None
        # Re-entrant: a signal handler that logs may interrupt the first call in here.
        self._opening = threading.RLock()
        self._broken = False
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._after_fork)

    def snapshot(self, data: Any) -> Optional[Dict[str, Any]]:
        """The row as it is now: another thread may go on changing the caller's dict.

        None for data that wandb will refuse, for wandb to refuse. Never raises.
        """
        try:
            if type(data) is not dict and not isinstance(data, Mapping):
                return None
            row = dict(data)
            plain = _STRING.issuperset(map(type, row))
            return row if plain or all(isinstance(key, str) for key in row) else None
        except Exception as error:
            if from_signal_handler(error):
                raise
            self._give_up(error)
            return None

    def record(
        self,
        run: Any,
        row: Dict[str, Any],
        step: Any,
        late: bool = False,
        keys: Optional[Tuple[str, ...]] = None,
    ) -> None:
        """Write one log call's line. Never raises.

        `step` is the training step, or wandb's own counter, or None when neither is known.
        `late` says that the training was further already. `keys` are those of a row of
        nothing but numbers.
        """
        if self._broken or self._output_path is None:
            return
        try:
            if getattr(run, "_is_finished", False) is not True:
                journal = self._journal or self._open_journal(self._output_path)
                journal.record(run, row, step, late, keys)
        except Exception as error:
            if from_signal_handler(error):
                raise
            self._give_up(error)

    def finished(self, run: Any) -> None:
        """Note that wandb has finished a run. Never raises."""
        if self._broken or self._journal is None:
            return
        try:
            self._journal.finish(run)
        except Exception as error:
            self._give_up(error)

    def exiting(self) -> None:
        """Note the end of every run that nobody finished. Never raises."""
        if self._journal is not None:
            for run in list(self._journal.unfinished.values()):
                self.finished(run)

    def report(self, result: str, reason: str = "") -> None:
        """Write `wandb_hook.json` of this process. Never raises."""
        if self._output_path is not None:
            who = identity.read(os.environ)
            status.report(rank_directory(self._output_path, who), result, reason, self._system)

    def _open_journal(self, output_path: str) -> Journal:
        with self._opening:  # two threads may log first
            if self._journal is None:
                who = identity.read(os.environ)
                writer = Writer(rank_directory(output_path, who), self._max_bytes)
                journal = Journal(writer, who, self._step_fix_counts)
                if self._enhance_metrics:
                    # Not imported for those who did not ask for it.
                    from primus_lens_hook.system.sampler import Sampler

                    journal.sampler = Sampler(journal.sample, self._columns, self._sampled_by)
                self._journal = journal
            return self._journal

    def _sampled_by(self, system: Dict[str, Any]) -> None:
        self._system = system
        if not self._broken:
            self.report(status.PATCHED)

    def _after_fork(self) -> None:
        self._opening = threading.RLock()  # another thread of the parent may have held it
        journal, self._journal = self._journal, None
        if journal is not None:
            journal.writer.abandon()

    def _give_up(self, error: Exception) -> None:
        self._broken = True
        if self._journal is not None and self._journal.sampler is not None:
            self._journal.sampler.stop()
        reason = describe(error)
        warn_once("fault", "switched off after a fault of its own (%s)" % reason)
        self.report(status.FAILED, reason)


class Journal:
    """What one process writes into its rank directory: the lines and the runs."""

    def __init__(self, writer: Writer, who: identity.Identity, step_fix_counts: CountsOf) -> None:
        self.writer = writer
        self._step_fix_counts = step_fix_counts
        self._progress_due = time.time() + PROGRESS  # Unix seconds
        self.unfinished: Dict[str, Any] = {}
        self._identity = who
        self._runs: Optional[Runs] = None
        self._lock = threading.RLock()  # for the runs; the writer has its own
        # The run of the newest call, its id, and how its lines end. Replaced as a whole:
        # threads may log to several runs at once.
        self._newest: Tuple[Any, str, str] = (None, "", "")
        self.sampler: Optional[Sampler] = None
        self._few = ""  # members of the newest sample that are on each line

    def record(
        self,
        run: Any,
        row: Mapping[str, Any],
        step: Any,
        late: bool,
        keys: Optional[Tuple[str, ...]],
    ) -> None:
        """Write one line."""
        newest = self._newest
        if newest[0] is not run:
            run_id = id_of(run)
            newest = self._newest = (run, run_id, self._tail(run_id))
        if type(step) is not int:
            step = as_integer(step)
        now = time.time()
        line = start_of_line(row, now, "null" if step is None else step, keys) + newest[2]
        written = self.writer.write((line + (LATE if late else END)).encode())
        if written and newest[1] not in self.unfinished:
            self._begin(newest[1], run)
        if now > self._progress_due:
            self._note_progress(now)

    def finish(self, run: Any) -> None:
        """Note the end of a run that has logged in this process."""
        with self._lock:
            self._newest = (None, "", "")
            run_id = id_of(run)
            if self._runs is not None and self.unfinished.pop(run_id, None) is not None:
                counts = self._step_fix_counts(run)
                self._runs.finish(run_id, run, exit_code(run), self.writer.lost, counts)
            if self.sampler is not None and not self.unfinished:
                self.sampler.stop()
                self._few = ""

    def sample(self, values: Mapping[str, Any], few: Mapping[str, Any]) -> None:
        """Write a line of what the sampler saw, and put a few values on the lines that follow."""
        with self._lock:
            if not self.unfinished:
                return
            self._few = encode(few) + "," if few else ""
            run, run_id, _ = self._newest
            if run is not None:
                self._newest = (run, run_id, self._tail(run_id))
            # The processes of one rank would tell different tales; the first speaks for all.
            if not self.writer.owner:
                run_id = run_id or list(self.unfinished)[-1]
                ours = (time.time(), encode(values), json.dumps(run_id))
                self.writer.write((SAMPLE % ours).encode())

    def _tail(self, run_id: str) -> str:
        return self._few + TAIL % (contract.ROW_MARK, json.dumps(run_id))

    def _begin(self, run_id: str, run: Any) -> None:
        # After the first line: only then is it known which files are this process's.
        with self._lock:
            if run_id in self.unfinished:
                return
            self.unfinished[run_id] = run
            if self._runs is None:
                self._runs = Runs(self.writer.directory, self.writer.owner, self._identity)
            self._runs.begin(run_id, run)
            if self.sampler is not None:
                self.sampler.start()

    def _note_progress(self, now: float) -> None:
        with self._lock:
            self._progress_due = now + PROGRESS
            if self._runs is not None:
                counts = {i: self._step_fix_counts(run) for i, run in self.unfinished.items()}
                self._runs.progress(counts, self.writer.lost)


def rank_directory(output_path: str, who: identity.Identity) -> str:
    """Where a process of this rank writes."""
    node = contract.NODE_DIRECTORY.format(who.node_rank)
    return os.path.join(output_path, node, contract.RANK_DIRECTORY.format(who.local_rank))


def id_of(run: Any) -> str:
    """The run's id, without the property that attaches a forked child to the run."""
    known = (
        getattr(run, "_run_id", None),
        getattr(getattr(run, "_settings", None), "run_id", None),
    )
    for run_id in known:
        if type(run_id) is str:  # a disabled run of an old wandb answers with other things
            return run_id
    run_id = getattr(run, "id", None)
    return run_id if type(run_id) is str else ""


def exit_code(run: Any) -> Optional[int]:
    """The exit code wandb has for the run, else the one the process is ending with.

    wandb puts a method of its ExitHooks in the place of sys.exit, and keeps the code there.
    """
    code = getattr(run, "_exit_code", None)
    if not isinstance(code, int):
        code = getattr(getattr(sys.exit, "__self__", None), "exit_code", None)
    return code if isinstance(code, int) else None
