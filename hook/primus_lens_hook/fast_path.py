# SPDX-License-Identifier: Apache-2.0
"""The fast path of a log call: a row of nothing but numbers, in a run in order.

Almost every call is one. This does in one function what `patch` and the step fix do in 18, and
must do exactly the same. Whatever is unusual it leaves to them: to `patch` before anything is
written, or to the run's guard with the record written.
"""

from __future__ import annotations

import functools
from typing import Any, Callable, List

from primus_lens_hook.fork_safe_lock import let_go
from primus_lens_hook.interruption import is_interruption
from primus_lens_hook.recording.recorder import Recorder
from primus_lens_hook.recording.scalars import NUMBERS, TEMPLATES
from primus_lens_hook.step_fix.log_call import LogCall
from primus_lens_hook.step_fix.manager import ATTRIBUTE, StepFix
from primus_lens_hook.wandb_step import INT64


def with_fast_path(  # noqa: C901, PLR0915 its one function
    any_call: Callable[..., Any], recorder: Recorder, step_fix: StepFix
) -> Callable[..., Any]:
    """`any_call`, a patched `log`, behind the fast path."""

    # One long function: wandb's thread has the processor between two calls, so each function and
    # each object of ours is fetched from memory anew, and that costs more than its work. Ten
    # numbers took 25 us in 18 functions, and take 20 us here.
    @functools.wraps(any_call)
    def log(  # noqa: C901, PLR0912, PLR0915 see above
        self: Any, data: Any, step: Any = None, commit: Any = None, *more: Any, **named: Any
    ) -> Any:
        guard = self.__dict__.get(ATTRIBUTE)
        # First of all whether the run is in order: others are not to pay for a look at their rows.
        if guard is None or not guard.is_plain or type(data) is not dict:
            return any_call(self, data, step, commit, *more, **named)
        if commit is not None or more or named:
            return any_call(self, data, step, commit, *more, **named)
        call = None
        marks: List[int] = []  # 1 when the row is handed over, 2 when wandb has returned
        mark = marks.append
        try:
            run = guard.context
            steps, wandb = run.steps, run.wandb
            # Copied in C, in one step for its owner, who may change it at any moment: under the
            # GIL, or under the dict's own lock where there is none.
            row = {**data}
            keys, values = tuple(row), tuple(row.values())
            # Only texts have a template. A key that merely equals a text is refused by wandb.
            template = TEMPLATES.get(keys)
            try:
                if template is not None and not NUMBERS.issuperset(map(type, values)):
                    template = None
            except Exception as error:  # a class of a class may raise for its hash
                if is_interruption(error):
                    raise
                template = None
            newest = steps.newest
            training_step = newest if step is None else step
            if (
                template is not None
                # The training step is what it most often is, and the row is not late.
                and (
                    steps.given is None and row.keys().isdisjoint(steps.axes)
                    if step is None
                    else type(step) is int and (0 if newest is None else newest) <= step < INT64
                )
                and not wandb.patched.get("tensorboard")
                # Last: nothing has been written where any of this is not so.
                and recorder.record_numbers(
                    self,
                    values,
                    wandb.read_step() if training_step is None else training_step,
                    template,
                )
            ):
                lock = guard.lock
                try:
                    with lock:
                        if not guard.serving:
                            # First: a signal handler that logs from here on waits for this call.
                            guard.serving = True
                            # Under the lock: two threads that had both seen the counter before it
                            # have lost rows.
                            counter, is_open = wandb.read_step(), wandb.open is not None
                            if (
                                guard.is_plain
                                and not guard.others_log[0]
                                and (not is_open if step is None else step >= counter + is_open)
                            ):
                                counts = run.counts
                                number = counts.logs = counts.logs + 1
                                columns = wandb.with_columns(row, training_step)
                                # One line: no fault of ours comes between a mark and the call.
                                answer = (mark(1), wandb.log(columns, step), mark(2))[1]
                                if step is None:
                                    wandb.open = None
                                else:
                                    wandb.open = (step, step)
                                    steps.note(step, keys)
                                if training_step is None:
                                    wandb.mark = {}
                                    training_step = counter
                                age = (steps.rewinds, training_step, number)
                                run.summary.note(row, template, age, True, step is None)
                                guard.serving = False
                                if guard.interrupting:
                                    guard.serve_interrupting()
                                return answer
                            guard.serving = False
                            if guard.interrupting:
                                guard.serve_interrupting()
                except BaseException:
                    if let_go(lock):
                        guard.end_call()
                    raise
                lock = None  # `guard.log` holds it from here on
                call = LogCall(row, keys, step, commit, template)
                call.explicit = call.shown = step
                call.training_step = training_step
        except Exception as fault:
            # An exception of wandb's own, or of a signal handler, is the caller's.
            if len(marks) == 1 or is_interruption(fault):
                raise
            if marks:
                return guard.give_up(fault)  # wandb has the row
            step_fix.failed(fault)
        return any_call(self, data, step, commit) if call is None else guard.log(call)

    return log
