# SPDX-License-Identifier: Apache-2.0
"""What is known of one run, whichever state its step fix is in.

It must never be used without the lock of the run's guard.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Optional

from primus_lens_hook.step_fix.axis_values import AxisValues
from primus_lens_hook.step_fix.counts import Counts
from primus_lens_hook.step_fix.limits import Limits
from primus_lens_hook.step_fix.log_call import LogCall
from primus_lens_hook.step_fix.metric_definitions import MetricDefinitions, paths
from primus_lens_hook.step_fix.row import EMPTY, Age, Row
from primus_lens_hook.step_fix.summary import Summary
from primus_lens_hook.step_fix.wandb_run import WandbRun
from primus_lens_hook.training_step import TrainingStep


class RunContext:
    """Shared by the states of a run."""

    def __init__(self, wandb: WandbRun, steps: TrainingStep, limits: Limits) -> None:
        self.wandb = wandb
        self.steps = steps
        self.limits = limits
        self.counts = Counts()
        self.definitions = MetricDefinitions()
        self.axes = AxisValues(self.definitions)
        self.summary = Summary(self.definitions)
        # Off for almost all runs: to remember the call of each key costs time in each log call.
        self.tracks_calls = limits.keep_duplicates
        """Whether it matters which call brought a key: for priorities, and to keep duplicates."""

    def define(
        self,
        name: str,
        step_metric: Any = None,
        step_sync: Optional[bool] = None,
        hidden: Optional[bool] = None,
        summary: Optional[str] = None,
        # A signature of our own: a newer wandb may add arguments, which are wandb's to judge.
        *more: Any,  # goal (up to 0.1x) and overwrite
        overwrite: Optional[bool] = None,
        **_: Any,
    ) -> bool:
        """Note a `define_metric` of the user's; returns whether it names an axis."""
        axis = getattr(step_metric, "name", step_metric)
        overwrite = bool(more[-1]) if more else overwrite
        overruled = self.definitions.define(name, axis, step_sync, summary, overwrite)
        self.wandb.note_definition()
        if axis:
            self.axes.note_axis(axis, self.wandb.initial_axis_value)
            if name == "*":
                self.steps.set_main_axis(axis)
        # wandb lets an exact definition win over the user's pattern, and ours is exact: without
        # this, eval/acc would be plotted over our column after define_metric("eval/*", "epoch").
        for key in overruled:
            how = {"step_sync": step_sync, "hidden": hidden, "summary": summary}
            self.wandb.redefine(key, step_metric=step_metric, **how)
        return bool(axis)

    def note_written(self, record: Any) -> None:
        """Note what the user has put into the summary: wandb's message of it."""
        values = {tuple(item.key): item.value for item in record.update}
        age = (self.steps.rewinds, self.steps.newest or 0, self.counts.logs)
        self.summary.note_written(values, age)

    def row(self, step: int, call: LogCall, after: Optional[Row]) -> Row:
        """A new row for a call at this step of wandb's; it ends the row `after`."""
        # The row that it ends is not in `native` yet: it is closed when wandb has taken this call.
        latest = self.axes.native
        if after is not None and after.axes:
            latest = {**latest, **after.axes}
        return Row(step, call.training_step, latest)

    def begin(self, call: LogCall) -> None:
        """Number a call, and look again whether it is late: threads may have logged meanwhile."""
        # Taken for a rewind, its values would stay in the summary for good.
        call.number = self.counts.logs = self.counts.logs + 1
        if call.shown is not None and not call.late:
            call.late = self.steps.of(call.explicit, call.values, call.keys)[2]

    def age(self, row: Row, call: LogCall) -> Age:
        """How new a call is that belongs to this row."""
        # Rewinds first: after a training went back to a checkpoint, its lower steps are newer.
        steps, step = self.steps, call.training_step
        # The call that shows a rewind belongs to what comes after it, noted yet or not.
        shows_it = not call.late and call.shown is not None and call.shown < (steps.newest or 0)
        return (steps.rewinds + shows_it, row.step if step is None else step, call.number)

    def note_keys(
        self, row: Row, values: Mapping[str, Any], call: LogCall, before: Optional[Row]
    ) -> None:
        """Note that a call has put these values into a row; `before` is the row that was open."""
        keep = self.limits.keep_duplicates
        if keep:
            call.synced = self.axes.filled_in(call.values, before)
        row.note(values, call, keep)

    def advance(self, row: Row, call: LogCall, before: Optional[Row]) -> None:
        """Note what native wandb does with a call that it takes into a row.

        `before` is the row that was open; another one ends with this call.
        """
        if before is not None and before is not row:
            self.close(before)
        # Most runs define no axis: they skip what only axes need.
        if self.definitions.axes:
            self.axes.note_joined(row, call.values)
            # By keys: a row may stay open for any number of calls, and must not keep them all.
            if call.keys not in row.unbound and self.definitions.may_bind(call.keys):
                row.unbound = {**row.unbound, call.keys: tuple(paths(call.values))}
        # note_training_step and wandb_step.commits, written out: two function calls less for each
        # log call.
        if call.shown is not None:
            self.steps.note(call.shown, call.keys)
        if call.commit or (call.step is None and call.commit is None):
            row.committed = True
            self.close(row)

    def note_training_step(self, call: LogCall) -> None:
        """Note the training step that a call has shown."""
        if call.shown is not None:
            self.steps.note(call.shown, call.keys)

    def close(self, row: Row) -> None:
        """Note that native wandb writes the row: nothing joins it any more."""
        row.closed = True
        if row.axes:
            self.axes.note_closed(row)
        # Only now: until then an exact definition of a key replaces what a pattern says of it.
        if row.unbound:
            for keys, of_values in row.unbound.items():
                self.definitions.expand(keys, of_values)
            row.unbound = EMPTY
