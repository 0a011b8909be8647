# SPDX-License-Identifier: Apache-2.0
"""What all runs of a process share: the switch, the timer, the exit, the fork.

It must never raise into a log call: after an internal error here, the call is wandb's.
"""

from __future__ import annotations

import _thread
import atexit
import contextlib
import mmap
import os
import threading
import time
from collections.abc import Mapping
from typing import Any, Callable, Dict, Iterator, List, Optional, Tuple

from primus_lens_hook.fork_safe_lock import holding, within
from primus_lens_hook.interruption import is_interruption, is_ours
from primus_lens_hook.recording.scalars import template_of
from primus_lens_hook.step_fix.array_scalars import unwrapped
from primus_lens_hook.step_fix.counts import Counts
from primus_lens_hook.step_fix.guard import RunGuard
from primus_lens_hook.step_fix.limits import Limits
from primus_lens_hook.step_fix.log_call import DEFAULT_PRIORITY, LogCall
from primus_lens_hook.step_fix.run_context import RunContext
from primus_lens_hook.step_fix.wandb_run import Methods, WandbRun
from primus_lens_hook.training_step import TrainingStep
from primus_lens_hook.wandb_names import STEP_FIX, lack_in_run
from primus_lens_hook.warn_once import describe, warn_once

ATTRIBUTE = "_primus_lens_steps"  # of wandb's Run objects, so that they end together
TIMER_MARGIN = 0.25  # seconds that the timer may be late


class StepFix:
    """The step fix of this process, for one wandb.

    Where the operator has switched it off (`allowed`), it only finds out training steps.
    """

    def __init__(
        self,
        limits: Limits,
        columns: Mapping[str, Any],
        mark: Mapping[str, Any],
        allowed: bool = True,
    ) -> None:
        self.allowed = allowed
        self.report: Callable[[str, str], None] = lambda _part, _reason: None
        """Where to note a part that leaves wandb alone, and why."""
        self._enabled = allowed
        self._methods: Optional[Methods] = None
        self._limits = limits
        self._columns = columns
        self._mark = mark
        self.training_step: Optional[int] = None  # the step given to `update_training_step()`
        self._runs: List[RunGuard] = []  # not finished
        self._counts: List[Counts] = []  # of the finished ones too
        self._lock = threading.RLock()
        self._timer_ends: Optional[threading.Event] = None  # from the first conflict on
        self._calling = threading.local()  # `priority` of the thread's calls
        self._ranked = False  # whether any thread has ever given one
        # One byte that forked children see: whether one of them logs to a run of its parent. An
        # anonymous mmap is shared across fork; a multiprocessing.Value would bring a semaphore,
        # which a child that is killed within it leaves locked.
        self._shared = mmap.mmap(-1, 1)
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._after_fork)

    def adopt(self, log: Callable[..., Any], define_metric: Any) -> None:
        """Serve the runs of this wandb from now on; these are its own methods."""
        self._methods = Methods(log, define_metric, self.report)

    def decline(self, reason: str) -> None:
        """Leave every call to this wandb, which lacks something; training steps are found out."""
        self.allowed = self._enabled = False
        self.report(STEP_FIX, reason)

    def of(self, run: Any) -> Optional[RunGuard]:
        """The step fix of a run that takes calls; None where they are wandb's. Never raises."""
        try:
            if self._methods is None:
                return None
            guard = vars(run).get(ATTRIBUTE) or self._begin(run)
            return guard if self._enabled and guard.takes_calls() else None
        except Exception as fault:
            self.failed(fault)
            return None

    def call(
        self, run: Any, values: Dict[str, Any], keys: Tuple[str, ...], step: Any, commit: Any
    ) -> Optional[Tuple[RunGuard, LogCall, bool]]:
        """A log call, its run, and whether it is served; else it is wandb's.

        Never raises; None after an internal error, and where this wandb has nothing to keep it.
        """
        try:
            if self._methods is None:
                return None
            guard = run.__dict__.get(ATTRIBUTE) or self._begin(run)
            call = LogCall(values, keys, step, commit, template_of(keys, values))
            if self._ranked:  # or else a missing attribute of a thread-local, for each call
                call.priority = getattr(self._calling, "priority", DEFAULT_PRIORITY)
            if step is not None:
                call.explicit = guard.context.wandb.integer(step)
            steps = guard.context.steps
            call.shown, call.training_step, call.late = steps.of(call.explicit, values, keys)
            is_readable = step is None or call.explicit is not None
            is_served = is_readable and self._enabled and guard.takes_calls()
            # Of the other calls nobody but the recorder asks for a number, and perhaps not even it.
            if is_served and call.template is None:
                call.unwrapped = unwrapped(values)
            return guard, call, is_served
        except Exception as fault:
            self.failed(fault)
            return None

    @contextlib.contextmanager
    def priority(self, priority: int) -> Iterator[None]:
        """Give the log calls that this thread makes within another rank than the usual."""
        self._ranked = True  # never reset: rows that wait have priorities from then on
        for guard in self._runs:
            guard.set_tracks_calls()
        self._calling.priority = priority
        try:
            yield
        finally:
            self._calling.priority = DEFAULT_PRIORITY

    def set_training_step(self, step: int) -> None:
        """Set the step given to `update_training_step()`, for all runs."""
        self.training_step = step
        for guard in self._runs:
            guard.set_training_step(step)

    def limit(self, **bounds: Any) -> None:
        """Set bounds of `Limits` by their names, from the next call on."""
        self._limits = self._limits._replace(**bounds)
        for guard in self._runs:
            guard.limit(self._limits)

    def enable(self) -> None:
        """Take calls again."""
        self._enabled = self.allowed
        for guard in self._runs:
            guard.resume()

    def disable(self) -> None:
        """Leave all calls to wandb from now on. Never raises."""
        self._enabled = False
        for guard in list(self._runs):
            guard.hand_back()

    def finished(self, run: Any) -> None:
        """Forget a run that wandb has finished. Never raises."""
        try:
            if self._methods is None:
                return
            self._forget(vars(run).get(ATTRIBUTE))
        except Exception as fault:
            self.failed(fault)

    def flush(self) -> None:
        """Send everything that waits. Never raises."""
        for guard in list(self._runs):
            guard.flush()

    def exiting(self) -> None:
        """Send everything that waits, and have nothing wait any more."""
        # Daemon threads go on logging while atexit runs: nothing would flush their rows any more.
        self.limit(buffer_size=0)
        self.flush()

    def counts(self) -> Dict[str, int]:
        """The counters of all runs together."""
        each = [counts.as_dict() for counts in (Counts(), *self._counts)]
        return {name: sum(counts[name] for counts in each) for name in each[0]}

    def counts_of(self, run: Any) -> Optional[Dict[str, int]]:
        """The counters of one run; None while it has not logged, and where it is switched off."""
        # vars, not getattr: the recorder asks for disabled runs too, and an old wandb's answer each
        # name with a dummy object.
        guard = vars(run).get(ATTRIBUTE) if self.allowed else None
        return None if guard is None else guard.context.counts.as_dict()

    def newest_step(self, run: Any) -> Optional[int]:
        """The newest training step that the log calls of a run have shown."""
        guard = vars(run).get(ATTRIBUTE)
        return None if guard is None else guard.context.steps.newest

    def failed(self, fault: Exception) -> None:
        """Switch off after an error of ours; others cost their call the step fix, and no more."""
        if is_interruption(fault):
            raise fault
        if is_ours(fault):
            warn_once("steps", "the step fix is off after an internal error: " + describe(fault))
            self.report(STEP_FIX, "internal error: " + describe(fault))
            self.disable()

    @holding("_lock")
    def _forget(self, guard: Optional[RunGuard]) -> None:
        # A new list, not remove(): other threads are in a loop over the old one.
        self._runs = [each for each in self._runs if each is not guard]
        # Ends with the last run: a process that has finished with wandb has no thread of ours when
        # it forks its next workers.
        if self._timer_ends is not None and not self._runs:
            self._timer_ends.set()
            self._timer_ends = None

    @holding("_lock")
    def _begin(self, run: Any) -> RunGuard:
        guard: Optional[RunGuard] = vars(run).get(ATTRIBUTE)
        if guard is not None:  # two threads may log first
            return guard
        guard = self._new_guard(run)
        self._runs.append(guard)
        self._set_up(guard)
        # Not setattr: wandb's Run refuses unknown names. In one step: a signal handler may log
        # within this, past the lock, and rows wait in its guard.
        first: RunGuard = vars(run).setdefault(ATTRIBUTE, guard)
        if first is not guard:
            self._forget(guard)
            return first
        self._counts.append(guard.context.counts)
        # Last registered runs first: before wandb's own, which ends its service. wandb
        # registers whenever it starts one, so ours moves behind it with each run. wandb
        # 0.31 calls no method of Run at exit: nothing else would send what waits.
        atexit.unregister(self.exiting)
        atexit.register(self.exiting)
        # Last: a signal handler may raise within it.
        if self._enabled and guard.takes_calls() and guard.context.wandb.is_attached_by_id():
            # Rows of its own process may wait there, and nobody can tell it to send them.
            # What we log may take wandb's counter beyond them: once they are sent, then.
            time.sleep(self._limits.flush_interval + TIMER_MARGIN)
        return guard

    def _new_guard(self, run: Any) -> RunGuard:
        assert self._methods is not None
        wandb = WandbRun(run, self._methods, self._columns, self._mark)
        context = RunContext(wandb, TrainingStep(), self._limits)
        guard = RunGuard(context, self._start_timer, self._shared)
        lack = lack_in_run(run) if self.allowed else ""
        if lack:
            guard.stand_aside(lack)
        elif self.allowed and not wandb.is_foreign():
            # A process that hands its run to another ends the open row before; but a run
            # of this process may have logged before the hook came.
            wandb.forget_open_row()
        return guard

    def _set_up(self, guard: RunGuard) -> None:
        """Tell a run what has been set for all of them."""
        # After it is among the runs: what another thread sets now it has set before it goes through
        # them, so that one of the two tells the run. And never an older value after a newer one.
        within(guard.lock, self._tell, guard)
        if self._ranked:
            guard.set_tracks_calls()
        if not self._enabled:
            guard.is_plain = False

    def _tell(self, guard: RunGuard) -> None:
        guard.limit(self._limits)
        if self.training_step is not None:
            guard.set_training_step(self.training_step)

    @holding("_lock")
    def _start_timer(self) -> None:
        # From the first conflict on, never before: Python 3.12 warns of a fork in a process that
        # has threads, and most trainings are in order.
        if self._timer_ends is None:
            self._timer_ends = ends = threading.Event()
            # Not Thread.start(), which waits for the thread's first step: it has waited for
            # ever when another thread had an exception raised here at that moment, which
            # CPython gave to the new thread. And no interpreter waits for this one's end.
            _thread.start_new_thread(self._flush_overdue, (ends,))

    def _flush_overdue(self, ends: threading.Event) -> None:
        wait = self._limits.flush_interval
        # Another event: a signal handler has come past the lock, and started a timer too.
        while not ends.wait(max(0.01, wait)) and self._timer_ends is ends:
            now = time.monotonic()
            due = [guard.flush_overdue(now) for guard in list(self._runs)]
            waiting = [each for each in due if each is not None]
            wait = min(waiting, default=now + self._limits.flush_interval) - time.monotonic()

    def _after_fork(self) -> None:
        self._lock = threading.RLock()  # another thread of the parent may have held it
        self._timer_ends = None  # threads are not forked
        for guard in self._runs:
            guard.after_fork()
