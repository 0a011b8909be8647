# SPDX-License-Identifier: Apache-2.0
"""The step fix of one run: where its log calls come in, and where the fence stands.

A fault of ours, at whatever point, sends what waits and the call at hand, each once, and
leaves the run to wandb from then on. An exception of wandb's own is the caller's: it
passes through as it is.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping
from mmap import mmap
from typing import Any, Callable, Dict, List, Optional

from primus_lens_hook import complaints
from primus_lens_hook.counter import as_integer, commits
from primus_lens_hook.steps.axes import step_in
from primus_lens_hook.steps.counts import Counts
from primus_lens_hook.steps.limits import Limits
from primus_lens_hook.steps.native import NOTHING_SENT, NativeRun, unknown_row
from primus_lens_hook.steps.parcel import Call, Parcel
from primus_lens_hook.steps.row import Row
from primus_lens_hook.steps.sorter import Sorter

logger = logging.getLogger("wandb_step_fix")


class RunSteps:
    """One run of this process. Safe for threads, signal handlers and forks."""

    def __init__(
        self,
        native: NativeRun,
        limits: Limits,
        start_timer: Callable[[], None],
        forked_child_logs: mmap,  # one byte that all processes see
    ) -> None:
        self._active = True
        self.counts = Counts()
        self.sorter: Optional[Sorter] = None  # from the first conflict on
        self._native = native
        self._limits = limits
        self._start_timer = start_timer
        self._told: Optional[int] = None
        self._highest: Optional[int] = None  # explicit step so far
        self._would_be = 0  # wandb's counter, had it got each call as it came
        self._lock = threading.RLock()
        self._serving = False
        self._interrupting: List[Call] = []  # calls of signal handlers, within ours
        self._handle: Callable[[Call], Any] = self._pass_through
        self._ends_open_row = False
        self._forked_child_logs = forked_child_logs
        if native.is_foreign():
            self._share()

    def logical(self, values: Mapping[str, Any], step: Any) -> Optional[int]:
        """The step that the caller means; None when it cannot be read.

        Without one it is what a framework has put into the row, what the training told,
        and else wandb's counter, or the highest step once the counter is ours.
        """
        if step is not None:
            return as_integer(step)
        found = step_in(values)
        if found is None:
            found = self._told
        if found is None and self.sorter is not None:
            found = self._highest
        return self._native.counter() if found is None else found

    def log(self, call: Call) -> Any:
        """Serve one call; returns and raises what wandb does."""
        try:
            with self._lock:
                if not self._active:  # since this call began
                    return self._native.give_as_is(call, call.step, call.commit)
                if self._serving:  # by this very thread: it is in a signal handler
                    self._interrupting.append(call)
                    return None
                return self._serve(self._take, call)
        except Exception as fault:
            if call.refused:
                raise
            return self.give_up(fault, call)

    def flush(self) -> None:
        """Send everything that waits. Never raises."""
        self._fenced(Sorter.flush)

    def flush_overdue(self, now: float) -> Optional[float]:
        """Send what has waited too long; returns when to ask again, if ever. Never raises."""
        return self._fenced(lambda sorter: sorter.flush_overdue(now))  # type: ignore[no-any-return]

    def told(self, step: int) -> None:
        """Take the training's word for its step."""
        self._told = step

    def defined(
        self,
        name: str,
        step_metric: Any,
        step_sync: Optional[bool] = None,
        hidden: Optional[bool] = None,
        summary: Optional[str] = None,
        *_: Any,
        **__: Any,
    ) -> None:
        """Heed a `define_metric` of the user's, for rows to come. Never raises."""
        try:
            axis = getattr(step_metric, "name", step_metric)  # a Metric of wandb's, or a name
            with self._lock:
                for key in self._native.axes.defined(name, axis, summary):
                    self._native.redefine(key, step_metric, step_sync, hidden, summary)
        except Exception as fault:
            self.give_up(fault)

    def summary_written(self, record: Any) -> None:
        """Let what the user puts into the summary be newer than what waits. Never raises."""
        try:
            with self._lock:
                if self._serving:  # it is ours
                    return
                values = {".".join(item.key): item.value for item in record.update}
                if self.sorter is not None and self.sorter.has_any(values):
                    self.flush()
                self._native.newest.written(values)
        except Exception as fault:
            self.give_up(fault)

    def takes_calls(self) -> bool:
        """Whether calls are served here; else they are wandb's."""
        return self._active and self._native.counts_steps()

    def limit(self, limits: Limits) -> None:
        """Bound what waits, from the next call on."""
        self._limits = limits
        if self.sorter is not None:
            self.sorter.limits = limits

    def hand_back(self) -> None:
        """Send everything that waits; the next calls are wandb's. Never raises."""
        self._fenced(self._end_waiting)

    def resume(self) -> None:
        """Heed that wandb has had calls that were not served here."""
        self._native.open = unknown_row()

    def after_fork(self) -> None:
        """In a child: the parent has the rows, and perhaps had the lock."""
        self._lock = threading.RLock()
        self._serving = False
        self._interrupting.clear()
        if self.sorter is not None:
            self.sorter.forget()
        self._share()

    def give_up(self, fault: Exception, call: Optional[Call] = None) -> Any:
        """Send what waits, each once, and leave the run to wandb."""
        complaints.once(
            "steps", "the step fix gave up after a fault: " + complaints.describe(fault)
        )
        with self._lock:
            self._active = False
            waiting = self.sorter.waiting() if self.sorter is not None else []
            self.sorter = None
            late = bool(waiting) or self._is_late(call)
            if late:
                self._native.end_open_row()
            for row in waiting:
                self._rescue(row, row.logical)
            for interrupting in self._interrupting:
                self._rescue(interrupting, interrupting.logical)
            if call is None or call.handed:
                return None
            if late:
                return self._native.give_without_step(call, call.logical)
            return self._native.give_as_is(call, call.step, call.commit)

    def _serve(self, act: Callable[[Any], Any], what: Any) -> Any:
        self._serving = True
        try:
            answer = act(what)
            while self._interrupting:
                self._take_interrupting(self._interrupting[0])
                del self._interrupting[0]
            return answer
        finally:
            self._serving = False

    def _take(self, call: Call) -> Any:
        self.counts.logs += 1
        if self._forked_child_logs[0] and self._handle != self._without_step:
            self._share()
        return self._handle(call)

    def _share(self) -> None:
        """Heed that another process logs to this run too: nobody knows wandb's counter now."""
        self._ends_open_row = True
        self._handle = self._without_step

    def _take_interrupting(self, call: Call) -> None:
        try:
            self._take(call)
        except Exception:
            if not call.refused:
                raise
            self.counts.dropped += 1  # its caller is gone, and cannot be told

    def _fenced(self, act: Callable[[Sorter], Any]) -> Any:
        try:
            with self._lock:
                if self.sorter is None or self._serving:
                    return None
                return self._serve(act, self.sorter)
        except Exception as fault:
            return self.give_up(fault)

    def _end_waiting(self, sorter: Sorter) -> None:
        sorter.flush()
        self._native.end_open_row()  # or wandb would let calls join it that name its native step
        self.sorter = None
        self._handle = self._pass_through

    def _pass_through(self, call: Call) -> Any:
        """Hand the call on as it is, unless wandb would drop it."""
        native = self._native
        if call.logical is None:  # a step that wandb will refuse
            return native.give(call, call.values, None, call.step, call.commit)
        counter = native.counter()
        joins = call.explicit is None or call.explicit == counter
        row = native.open if joins else None
        values: Optional[Dict[str, Any]] = call.values
        if row is not None:
            overwrite = not self._limits.keep_duplicates
            values = row.fitting(call.values, call.priority, overwrite)
        if values is None or (call.explicit is not None and call.explicit < counter):
            return self._conflict(call, counter)
        logical = call.logical
        if row is not None and call.explicit is None and row.logical != NOTHING_SENT:
            logical = row.logical  # it joins a row that has its step already
        answer = native.give(call, values, logical, call.step, call.commit)
        if call.explicit is not None:
            self._highest = max(call.explicit, self._highest or call.explicit)
        native.newest.note(values, logical)
        if commits(call.step, call.commit):
            native.open = None
        else:
            native.open = row or Row(logical, 0, 0.0, 0.0)
            native.open.logical = logical
            native.open.note(values, call.priority)
        return answer

    def _conflict(self, call: Call, counter: int) -> Any:
        """From here on the run's rows are put in order."""
        self._start_timer()
        logger.info("step %s came at step %s: rows are put in order now", call.step, counter)
        self._would_be = counter
        self.sorter = Sorter(self._native, self._limits, self.counts)
        self._handle = self._in_order
        return self._in_order(call)

    def _in_order(self, call: Call) -> Any:
        assert self.sorter is not None
        if call.logical is None:
            return self._native.give(call, call.values, None, call.step, call.commit)
        self._note_conflict(call)
        return self.sorter.place(call)

    def _note_conflict(self, call: Call) -> None:
        step = call.explicit
        if step is not None and step < self._would_be:
            self.counts.conflicts += 1
            logger.debug("step %d is behind %d: %s", step, self._would_be, list(call.values))
            return
        if step is not None:
            self._would_be = step
            self._highest = max(step, self._highest or step)
        self._would_be += commits(call.step, call.commit)

    def _without_step(self, call: Call) -> Any:
        """A row of its own, wherever wandb's counter stands: such a row is never dropped."""
        native = self._native
        self._forked_child_logs[0] = 1
        if self._ends_open_row:
            self._ends_open_row = False
            native.end_open_row()
            for row in self.sorter.waiting() if self.sorter is not None else ():
                native.give_without_step(row, row.logical)
            self.sorter = None
        if call.logical is None or not call.values:
            return native.give(call, call.values, None, call.step, call.commit)
        native.plot_over_axis(call.values)
        return native.give_without_step(call, call.logical)

    def _is_late(self, call: Optional[Call]) -> bool:
        if call is None or call.explicit is None:
            return False
        try:
            return call.explicit < self._native.counter()
        except Exception:
            return False

    def _rescue(self, parcel: Parcel, logical: Optional[int]) -> None:
        if not parcel.handed:
            try:
                self._native.give_without_step(parcel, logical)
            except Exception:
                self.counts.dropped += 1
