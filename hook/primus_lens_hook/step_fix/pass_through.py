# SPDX-License-Identifier: Apache-2.0
"""The state of a run in order: each call goes to wandb as it came and when it came.

It must change nothing that a user of wandb can see, but for the columns of ours.
"""

from __future__ import annotations

from typing import Any, Callable, Dict, List, Optional

from primus_lens_hook.step_fix.log_call import LogCall
from primus_lens_hook.step_fix.row import Row
from primus_lens_hook.step_fix.run_context import RunContext


class PassThrough:
    """One run's calls, until the first that wandb would drop.

    That one goes to `conflict`, which moves the run to another state.
    """

    def __init__(self, run: RunContext, conflict: Callable[[LogCall], Any]) -> None:
        self._run = run
        self._conflict = conflict

    def log(self, call: LogCall) -> Any:
        """Hand a call on to wandb; returns and raises what wandb does."""
        run = self._run
        wandb, explicit = run.wandb, call.explicit
        before = wandb.open
        # The row that the call joins: native wandb's rule.
        row = before if before is not None and explicit in (None, before.step) else None
        counter = wandb.counter()
        if row is None and explicit is not None and explicit < counter:
            return self._conflict(call)
        values = call.values
        if row is not None and run.tells_calls_apart:
            if run.limits.keep_duplicates and row.again(values, call.priority):
                return self._conflict(call)
            values = row.fitting(values, call.priority)
        if row is None:
            row = run.row(counter if explicit is None else explicit, call, before)
        elif row.training_step is None or explicit is not None:
            row.training_step = call.training_step
        answer = wandb.give(call, values, row.training_step, call.step, call.commit)
        if run.tells_calls_apart:
            row.note(values, call, run.limits.keep_duplicates)
        run.taken(row, call, before)
        wandb.open = None if row.closed else row
        if run.definitions.axes:
            run.axes.sent(values)
        self._summarize(row, row is not before, call, values)
        return answer

    def _summarize(self, row: Row, is_new: bool, call: LogCall, values: Dict[str, Any]) -> None:
        summary, age = self._run.summary, self._run.age(row, call)
        if is_new:
            summary.row_ended()  # that of the row before
        if call.only_numbers:
            summary.note(values, call.keys, age)
        else:
            summary.note_each(values, dict.fromkeys(values, age))
        if row.closed:
            summary.row_ended()

    def flush(self) -> None:
        """Nothing waits."""

    def flush_whole(self) -> None:
        """Nothing waits."""

    def flush_window(self) -> None:
        """Nothing waits."""

    def waiting(self) -> List[Row]:
        """Nothing waits."""
        return []

    def flush_overdue(self, now: float) -> Optional[float]:
        """Nothing waits; nobody need ask again."""
