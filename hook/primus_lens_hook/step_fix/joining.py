# SPDX-License-Identifier: Apache-2.0
"""Which waiting row a late call can join: one of its training step, with the same axes.

It must never put a value before an older one of its key, nor beside an axis value that native
wandb would not have shown it over.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Dict, List, Optional, Set, Tuple, Union

from primus_lens_hook.step_fix.late_rows import LateRows
from primus_lens_hook.step_fix.metric_definitions import carried
from primus_lens_hook.step_fix.reorder_window import ReorderWindow
from primus_lens_hook.step_fix.row import Row
from primus_lens_hook.step_fix.run_context import RunContext

Held = Union[ReorderWindow, LateRows]


def named_axes(run: RunContext) -> Set[str]:
    """The columns that a value may be plotted over."""
    # Also those that nobody has defined yet: frameworks may define theirs late, and a definition
    # holds for the whole chart, rows before it included.
    return {*run.definitions.axes, *run.steps.axes}


def find_row(
    run: RunContext,
    window: ReorderWindow,
    late: LateRows,
    row: Row,
    values: Dict[str, Any],
    axes: Dict[str, Any],
    priority: int,
) -> Optional[Tuple[Held, Row]]:
    """A waiting row that these values can join instead of `row`, and what holds it."""
    named = named_axes(run)
    for held, other in _joinable(run, window, late, row.training_step or 0, values):
        fits = not other.repeated(values, priority)
        if fits and _axes_of(run, other, named) == axes:
            return held, other
    return None


def _joinable(
    run: RunContext, window: ReorderWindow, late: LateRows, step: int, values: Dict[str, Any]
) -> List[Tuple[Held, Row]]:
    """Rows of a training step, those of the window first, without older ones of a key."""
    found: List[Tuple[Held, Row]] = []
    for held in (late, window):
        for row in held.joinable(step):
            # Of two values for one key the newer must not go to wandb before the older: W&B's
            # summary shows what came last. With priorities the order of arrival does not decide.
            if not row.ranks.keys().isdisjoint(values) and not run.tracks_calls:
                return found
            found.insert(0 if held is window else len(found), (held, row))
    return found


def _axes_of(run: RunContext, row: Row, named: Iterable[str]) -> Dict[str, Any]:
    """The columns that a waiting row will have of the user's axes."""
    known = row.filled_in if row.late else run.axes.of_row(row.values, row)
    return {**known, **carried(row.values, named)}
