# SPDX-License-Identifier: Apache-2.0
"""The step fix of one run: where its log calls come in, and where the fence stands.

A fault of ours, at whatever point, sends what waits and the call at hand, each once, and
leaves the run to wandb from then on. An exception of wandb's own is the caller's: it
passes through as it is.
"""

from __future__ import annotations

import threading
from typing import Any, Callable, List, Optional

from primus_lens_hook import complaints
from primus_lens_hook.steps.counts import Counts
from primus_lens_hook.steps.course import Course
from primus_lens_hook.steps.limits import Limits
from primus_lens_hook.steps.native import unknown_row
from primus_lens_hook.steps.parcel import Call, Parcel
from primus_lens_hook.steps.sorter import Sorter


class RunSteps:
    """One run of this process. Safe for threads, signal handlers and forks."""

    def __init__(self, course: Course) -> None:
        self._course = course
        self._native = course.native
        self._active = True
        self.step_of = course.step_of
        self._lock = threading.RLock()
        self._serving = False
        self._interrupting: List[Call] = []  # calls of signal handlers, within ours
        # The first call of a process that did not begin the run makes it a shared one.
        self._joins = course.native.is_foreign()

    @property
    def counts(self) -> Counts:
        """What was done so far."""
        return self._course.counts

    def log(self, call: Call) -> Any:
        """Serve one call; returns and raises what wandb does."""
        try:
            with self._lock:
                if not self._active:  # since this call began
                    return self._native.give_as_is(call, call.step, call.commit)
                if self._serving:  # by this very thread: it is in a signal handler
                    self._interrupting.append(call)
                    return None
                self._serving = True
                try:
                    self._join_others()
                    self._course.counts.logs += 1
                    answer = self._course.handle(call)
                    if self._interrupting:
                        self._serve_interrupting()
                    return answer
                finally:
                    self._serving = False
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
        self._course.told = step

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
                    self._native.redefine(
                        key,
                        step_metric=step_metric,
                        step_sync=step_sync,
                        hidden=hidden,
                        summary=summary,
                    )
        except Exception as fault:
            self.give_up(fault)

    def summary_written(self, record: Any) -> None:
        """Let what the user puts into the summary be newer than what waits. Never raises."""
        try:
            values = {".".join(item.key): item.value for item in record.update}
            with self._lock:
                if not self._serving:  # else it is ours
                    self._fenced(lambda sorter: sorter.make_way(values))
                    self._native.newest.written(values)
        except Exception as fault:
            self.give_up(fault)

    def takes_calls(self) -> bool:
        """Whether calls are served here; else they are wandb's."""
        native = self._native
        return (
            self._active
            and not native.ignores_steps()
            and (native.can_be_shared or not self._joins)
        )

    def limit(self, limits: Limits) -> None:
        """Bound what waits, from the next call on."""
        self._course.limits = limits
        if self._course.sorter is not None:
            self._course.sorter.limits = limits

    def hand_back(self) -> None:
        """Send everything that waits; the next calls are wandb's. Never raises."""
        self._fenced(lambda _: self._course.end_order())

    def resume(self) -> None:
        """Heed that wandb has had calls that were not served here."""
        self._native.open = unknown_row()

    def after_fork(self) -> None:
        """In a child: the parent has the rows, and perhaps had the lock."""
        self._lock = threading.RLock()
        self._serving = False
        self._interrupting.clear()
        if self._course.sorter is not None:
            self._course.sorter.forget()
        self._joins = True

    def give_up(self, fault: Exception, call: Optional[Call] = None) -> Any:
        """Send what waits, each once, and leave the run to wandb."""
        complaints.once(
            "steps", "the step fix gave up after a fault: " + complaints.describe(fault)
        )
        with self._lock:
            self._active = False
            sorter, self._course.sorter = self._course.sorter, None
            waiting = sorter.waiting() if sorter is not None else []
            late = bool(waiting) or self._is_late(call)
            if late:
                self._end_open_row()
            for row in waiting:
                self._rescue(row, row.logical)
            for interrupting in self._interrupting:
                self._rescue(interrupting, interrupting.logical)
            if call is None or call.handed:
                return None
            if late:
                return self._native.give_without_step(call, call.logical)
            return self._native.give_as_is(call, call.step, call.commit)

    def _join_others(self) -> None:
        if self._joins or self._course.others_log[0]:
            self._joins = False
            self._course.share()

    def _serve_interrupting(self) -> None:
        while self._interrupting:
            call = self._interrupting[0]
            try:
                self._course.counts.logs += 1
                self._course.handle(call)
            except Exception:
                if not call.refused:
                    raise
                self._course.counts.dropped += 1  # its caller is gone, and cannot be told
            del self._interrupting[0]

    def _fenced(self, act: Callable[[Sorter], Any]) -> Any:
        try:
            with self._lock:
                if self._course.sorter is None or self._serving:
                    return None
                self._serving = True
                try:
                    self._join_others()
                    sorter: Optional[Sorter] = self._course.sorter
                    answer = None if sorter is None else act(sorter)
                    self._serve_interrupting()
                    return answer
                finally:
                    self._serving = False
        except Exception as fault:
            return self.give_up(fault)

    def _is_late(self, call: Optional[Call]) -> bool:
        if call is None or call.explicit is None:
            return False
        try:
            return call.explicit < self._native.counter()
        except Exception:
            return False

    def _end_open_row(self) -> None:
        try:
            self._native.end_open_row()
        except Exception:  # wandb's service is gone: so are the rows, but not the training
            return

    def _rescue(self, parcel: Parcel, logical: Optional[int]) -> None:
        if not parcel.handed:
            try:
                self._native.give_without_step(parcel, logical)
            except Exception:
                self._course.counts.dropped += 1
