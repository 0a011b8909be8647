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
        wandb = run.wandb
        before, counter = wandb.open, wandb.counter()
        if before is not None and (explicit is None or explicit == before.step):
            return self._join(before, call)
        # Asked for and not counted here: a resumed run begins at a step of the service's, and a
        # call that wandb has refused may have moved it or not.
        if explicit is None:
            explicit = counter
        elif explicit < counter:
            return self._conflict(call)
        row = run.row(explicit, call, before)
        return self._give(row, before, call, call.values)

    def _join(self, row: Row, call: LogCall) -> Any:
        """Hand on a call whose values join the open row: native wandb's rule."""
        run, values = self._run, call.values
        if run.tracks_calls:
            # wandb would overwrite it: not in conflict by its step, but a value would be lost.
            if run.limits.keep_duplicates and row.repeated(values, call.priority):
                return self._conflict(call)
            values = row.accepted(values, call.priority)
        if row.training_step is None or call.explicit is not None:
            row.training_step = call.training_step
        return self._give(row, row, call, values)

    def _give(self, row: Row, before: Optional[Row], call: LogCall, values: Dict[str, Any]) -> Any:
        run = self._run
        # call.step as it came, not the integer that we read: wandb's exceptions and its warnings
        # (a step in a child, say) have to be about the caller's own value.
        answer = run.wandb.send(call, values, row.training_step, call.step, call.commit)
        # Only now, since what wandb has refused is in no row.
        if run.tracks_calls:
            run.note_keys(row, values, call, before)
        run.advance(row, call, before)
        run.wandb.open = None if row.closed else row
        if run.definitions.axes:
            run.axes.note_sent(values)
        summary, age = run.summary, run.age(row, call)
        if before is not None and row is not before:
            summary.row_ended()  # that of the row before
        if call.template is not None:
            summary.note(values, call.template, age)
        else:
            summary.note_each(values, dict.fromkeys(values, age))
        if row.closed:
            summary.row_ended()
        return answer
