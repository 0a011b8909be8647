# SPDX-License-Identifier: Apache-2.0
"""What all runs of a process share: the switch, the timer, the exit, the fork.

It must never raise into a log call: where something is wrong here, the call is wandb's.
"""

from __future__ import annotations

import atexit
import contextlib
import mmap
import os
import threading
import time
from collections.abc import Mapping
from typing import Any, Dict, Iterator, List, Optional, Tuple

from primus_lens_hook import complaints
from primus_lens_hook.counter import as_integer
from primus_lens_hook.steps.counts import Counts
from primus_lens_hook.steps.course import Course
from primus_lens_hook.steps.limits import Limits
from primus_lens_hook.steps.native import Methods, NativeRun
from primus_lens_hook.steps.parcel import Call
from primus_lens_hook.steps.run import RunSteps

ATTRIBUTE = "_primus_lens_steps"  # of wandb's Run objects, so that they end together
DEFAULT_PRIORITY = 5


class StepFix:
    """The step fix of this process, for one wandb."""

    def __init__(self, limits: Limits, columns: Mapping[str, Any]) -> None:
        self._enabled = True
        self._methods: Optional[Methods] = None
        self._limits = limits
        self._columns = columns
        self.training_step: Optional[int] = None  # by its own word
        self._runs: List[RunSteps] = []  # not finished
        self._counts: List[Counts] = []  # of the finished ones too
        self._lock = threading.RLock()
        self._timer: Optional[threading.Thread] = None  # from the first conflict on
        self._timer_ends = threading.Event()
        self._calling = threading.local()  # `priority` of the thread's calls
        self._ranked = False  # whether any thread has ever given one
        # One byte that forked children see: whether one of them logs to a run of its parent.
        self._shared = mmap.mmap(-1, 1)
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._after_fork)

    def adopt(self, methods: Methods) -> None:
        """Serve the runs of this wandb from now on."""
        self._methods = methods

    def of(self, run: Any) -> Optional[RunSteps]:
        """The step fix of a run that takes calls; None where they are wandb's. Never raises."""
        try:
            steps = vars(run).get(ATTRIBUTE) or self._begin(run)
            return steps if self._enabled and steps.takes_calls() else None
        except Exception as fault:
            self._give_up(fault)
            return None

    def call(
        self, run: Any, values: Dict[str, Any], step: Any, commit: Any
    ) -> Optional[Tuple[RunSteps, Call]]:
        """A log call, and the run's step fix to serve it; None if it is wandb's. Never raises."""
        try:
            steps = vars(run).get(ATTRIBUTE) or self._begin(run)
            if not (self._enabled and steps.takes_calls()):
                return None
            explicit = step if type(step) is int or step is None else as_integer(step)
            logical = explicit if step is not None else steps.step_of(values)
            priority = DEFAULT_PRIORITY
            if self._ranked:  # or else a missing attribute of a thread-local, for each call
                priority = getattr(self._calling, "priority", priority)
            return steps, Call(values, step, commit, explicit, logical, priority)
        except Exception as fault:
            self._give_up(fault)
            return None

    @contextlib.contextmanager
    def priority(self, priority: int) -> Iterator[None]:
        """Give the log calls that this thread makes within another rank than the usual."""
        self._ranked = True
        self._calling.priority = priority
        try:
            yield
        finally:
            self._calling.priority = DEFAULT_PRIORITY

    def told(self, step: int) -> None:
        """Take the training's word for its step."""
        self.training_step = step
        for steps in self._runs:
            steps.told(step)

    def limit(self, **bounds: Any) -> None:
        """Set bounds of `Limits` by their names, from the next call on."""
        self._limits = self._limits._replace(**bounds)
        for steps in self._runs:
            steps.limit(self._limits)

    def enable(self) -> None:
        """Take calls again."""
        self._enabled = True
        for steps in self._runs:
            steps.resume()

    def disable(self) -> None:
        """Leave all calls to wandb from now on. Never raises."""
        self._enabled = False
        for steps in list(self._runs):
            steps.hand_back()

    def finished(self, run: Any) -> None:
        """Forget a run that wandb has finished. Never raises."""
        try:
            steps = vars(run).get(ATTRIBUTE)
            with self._lock:
                self._runs = [each for each in self._runs if each is not steps]
                if self._timer is not None and not self._runs:
                    self._timer = None
                    self._timer_ends.set()
        except Exception as fault:
            self._give_up(fault)

    def flush(self) -> None:
        """Send everything that waits. Never raises."""
        for steps in list(self._runs):
            steps.flush()

    def exiting(self) -> None:
        """Send everything that waits, and have nothing wait any more."""
        self.limit(buffer_size=0)
        self.flush()

    def counts(self) -> Dict[str, int]:
        """The counters of all runs together."""
        each = [counts.as_dict() for counts in (Counts(), *self._counts)]
        return {name: sum(counts[name] for counts in each) for name in each[0]}

    def counts_of(self, run: Any) -> Optional[Dict[str, int]]:
        """The counters of one run; None while it has not logged."""
        steps = vars(run).get(ATTRIBUTE)
        return None if steps is None else steps.counts.as_dict()

    def _give_up(self, fault: Exception) -> None:
        complaints.once("steps", "no step fix after a fault: " + complaints.describe(fault))
        self.disable()

    def _begin(self, run: Any) -> RunSteps:
        with self._lock:  # two threads may log first
            steps = vars(run).get(ATTRIBUTE)
            if steps is None:
                assert self._methods is not None
                native = NativeRun(run, self._methods, self._columns)
                steps = RunSteps(Course(native, self._limits, self._start_timer, self._shared))
                if self.training_step is not None:
                    steps.told(self.training_step)
                self._runs.append(steps)
                self._counts.append(steps.counts)
                vars(run)[ATTRIBUTE] = steps  # not setattr: wandb's Run refuses unknown names
                # Last registered runs first: before wandb's own, which ends its service.
                atexit.unregister(self.exiting)
                atexit.register(self.exiting)
            return steps  # type: ignore[no-any-return]

    def _start_timer(self) -> None:
        with self._lock:
            if self._timer is None:
                self._timer_ends = threading.Event()
                timer = threading.Thread(
                    target=self._flush_overdue,
                    args=(self._timer_ends,),
                    name="primus-lens-step-fix",
                    daemon=True,
                )
                timer.start()
                self._timer = timer

    def _flush_overdue(self, ends: threading.Event) -> None:
        wait = self._limits.flush_interval
        while not ends.wait(max(0.01, wait)):
            now = time.monotonic()
            due = [steps.flush_overdue(now) for steps in list(self._runs)]
            waiting = [each for each in due if each is not None]
            wait = min(waiting, default=now + self._limits.flush_interval) - time.monotonic()

    def _after_fork(self) -> None:
        self._lock = threading.RLock()  # another thread of the parent may have held it
        self._timer = None
        for steps in self._runs:
            steps.after_fork()
