# SPDX-License-Identifier: Apache-2.0
"""A run as wandb has it: its counter, its open row, its summary. All calls to wandb are here.

What wandb does with a step has been the same from 0.12.0 to 0.31: above its counter it
ends the open row and opens another, at the counter the values join the open row, below it
they are dropped; without a step they join the open row and end it.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from typing import Any, Callable, Dict, NamedTuple, Optional

from primus_lens_hook.counter import as_integer, counter_of
from primus_lens_hook.steps.axes import AXIS, Axes
from primus_lens_hook.steps.newest import Newest
from primus_lens_hook.steps.parcel import Parcel
from primus_lens_hook.steps.row import Row

NOTHING_SENT = -(1 << 63)


def unknown_row() -> Row:
    """The open row of a run that others have logged to: perhaps there is one."""
    return Row(NOTHING_SENT, (), 0)


class Methods(NamedTuple):
    """wandb's own methods of `Run`, unpatched."""

    log: Callable[..., Any]
    """`(run, data, step, commit)`"""
    define_metric: Callable[..., Any]
    """`(run, name, …)`"""


class NativeRun:
    """One run; its caller holds a lock around everything."""

    def __init__(self, run: Any, methods: Methods, columns: Mapping[str, Any]) -> None:
        self.axes = Axes()
        self.newest = Newest()
        self.sent = NOTHING_SENT  # the newest logical step that wandb has
        self.open: Optional[Row] = unknown_row()  # the row that wandb has open
        self._run = run
        self._columns = columns
        self._log = methods.log.__get__(run)
        self._define = methods.define_metric.__get__(run)
        self._axis_defined = False
        self._counter = counter_of(run)
        self._patched = getattr(sys.modules.get("wandb"), "patched", {})
        self._shared = getattr(getattr(run, "_settings", None), "_shared", False) is True

    def counter(self) -> int:
        """The step of the open row."""
        step = getattr(*self._counter)
        return step if type(step) is int else as_integer(step) or 0

    def free_step(self) -> int:
        """The first step that no row has."""
        return self.counter() + (self.open is not None)

    def give(
        self,
        parcel: Parcel,
        values: Mapping[str, Any],
        axis: Optional[int],
        step: Any,
        commit: Optional[bool],
    ) -> Any:
        """Call wandb with the values and our columns; raises what wandb raises.

        An empty row gets no columns: it ends the open row, and would make one.
        """
        columns: Dict[str, Any] = dict(values)
        if values:
            columns.update(self._columns)
            if axis is not None:
                columns[AXIS] = axis
                self._define_axis()
        return parcel.hand_over(self._log, columns, step, commit)

    def give_without_step(self, parcel: Parcel, logical: Optional[int]) -> Any:
        """Give wandb a row to put where its counter stands: it is never dropped there."""
        columns = {**parcel.values, **self._columns}
        if logical is not None:
            columns[AXIS] = logical
        return parcel.hand_over(self._log, columns, None, True)

    def give_as_is(self, parcel: Parcel, step: Any, commit: Optional[bool]) -> Any:
        """Give wandb the values as they came."""
        return parcel.hand_over(self._log, parcel.values, step, commit)

    def end_open_row(self) -> None:
        """Have wandb write the row that it has open, if any."""
        self._log({}, None, True)
        self.open = None

    def plot_over_axis(self, values: Mapping[str, Any]) -> None:
        """Have wandb plot these keys over the logical step, but for those the user plots."""
        self._define_axis()
        for key in self.axes.to_define(values):
            self._define(key.replace(".", "\\."), step_metric=AXIS, step_sync=False)

    def redefine(self, key: str, **how: Any) -> None:
        """Define a key that we had defined as the user's glob has it."""
        self._define(key.replace(".", "\\."), overwrite=True, **how)

    def restore(self, summary: Dict[str, Any]) -> None:
        """Put values back into the run's summary, where the user lets rows decide."""
        kept = {k: v for k, v in summary.items() if not self.axes.has_summary(k)}
        if kept:
            self._run.summary.update(kept)

    def is_foreign(self) -> bool:
        """Whether another process began the run, and shares its counter with us."""
        began_in = getattr(self._run, "_init_pid" if self.can_be_shared else "_pid", None)
        return began_in != os.getpid() or bool(getattr(self._run, "_is_attached", False))

    @property
    def can_be_shared(self) -> bool:
        """Whether forked children log to the run: in 0.12.0 wandb ignores what they log."""
        return hasattr(self._run, "_init_pid")

    def ignores_steps(self) -> bool:
        """Whether wandb heeds no steps: in shared mode, and while it mirrors tensorboard."""
        return self._shared or bool(self._patched.get("tensorboard"))

    def _define_axis(self) -> None:
        if not self._axis_defined:
            self._axis_defined = True
            self._define(AXIS, hidden=True, summary="none")
