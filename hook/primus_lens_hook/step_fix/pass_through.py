# SPDX-License-Identifier: Apache-2.0
"""The state of a run in order: each call goes to wandb as it came and when it came.

It must never change anything that a user of wandb can see, but for the columns of ours.
"""

from __future__ import annotations

from typing import Any, Callable, Dict, Optional

from primus_lens_hook.step_fix.log_call import LogCall
from primus_lens_hook.step_fix.row import Row
from primus_lens_hook.step_fix.run_context import RunContext
from primus_lens_hook.step_fix.state import State


class PassThrough(State):
    """One run's calls, until the first that wandb would drop.

    That one goes to `conflict`, which moves the run to another state.
    """

    def __init__(self, run: RunContext, conflict: Callable[[LogCall], Any]) -> None:
        super().__init__(run)
        self._conflict = conflict

    def log(self, call: LogCall) -> Any:
        """Hand a call on to wandb."""
        run, explicit = self._run, call.explicit
        values: Optional[Dict[str, Any]] = call.values
        wandb = run.wandb
        before, counter = wandb.open_row, wandb.counter()
        if before is not None and (explicit is None or explicit == before.step):
            row, values = before, self._accepted(before, call)
        # The counter is asked for and not counted here: a resumed run begins at a step of the
        # service's, and a call that wandb has refused may have moved it or not.
        elif explicit is None or explicit >= counter:
            row = run.row(counter if explicit is None else explicit, call, before)
        else:
            values = None
        if values is None:
            return self._conflict(call)
        # call.step as it came, not the integer that we read: wandb's exceptions and its warnings
        # (a step in a child, say) have to be about the caller's own value.
        answer = wandb.send(call, values, row.training_step, call.step, call.commit)
        # Only now, since what wandb has refused is in no row.
        if run.tracks_calls:
            run.note_keys(row, values, call, before)
        run.advance(row, call, before)
        wandb.open = None if row.closed else row
        if run.definitions.axes:
            run.axes.note_sent(values)
        age, begins = run.age(row, call), row is not before
        if call.template is not None:
            run.summary.note(values, call.template, age, begins, row.closed)
        else:
            ages = dict.fromkeys(values, age)
            run.summary.note_each(call.numbers_of(values), ages, begins, row.closed)
        return answer

    def _accepted(self, row: Row, call: LogCall) -> Optional[Dict[str, Any]]:
        """What of a call may join the open row, by native wandb's rule; None in a conflict."""
        run, values = self._run, call.values
        if run.tracks_calls:
            # wandb would overwrite it: not in conflict by its step, but a value would be lost.
            if run.limits.keep_duplicates and row.repeated(values, call.priority):
                return None
            values = row.accepted(values, call.priority)
        if row.training_step is None or call.explicit is not None:
            row.training_step = call.training_step
        return values
