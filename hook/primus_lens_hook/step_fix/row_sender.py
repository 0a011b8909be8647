# SPDX-License-Identifier: Apache-2.0
"""Sends the values of a row to wandb, in a run whose rows wandb would drop.

It must never change what native wandb has: the columns of the user's axes, and the summary.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Dict, Optional

from primus_lens_hook.step_fix.log_call import Delivery
from primus_lens_hook.step_fix.row import EMPTY, Age, Row
from primus_lens_hook.step_fix.run_context import RunContext


def send_row(
    run: RunContext,
    row: Row,
    delivery: Delivery,
    values: Dict[str, Any],
    ages: Mapping[str, Age],
    commit: Optional[bool],
) -> Any:
    """Give wandb values of a row, at its step; returns and raises what wandb does.

    `delivery` is the call or the row that the values are from; `ages` are theirs, by key.
    """
    wandb = run.wandb
    # The row's own values win: a user who logs an axis means that number.
    columns = {**_axes(run, row, values), **values}
    if row.late:
        run.summary.row_ended()  # it ends the row that wandb has open
    dropped = values if row.late else {key: values[key] for key in row.late_keys}  # natively
    run.summary.hide(dropped, ages)
    run.definitions.bind(dropped)
    # Only rows that are not where native wandb has them: a definition holds for the whole key, and
    # would move the default axis of a chart that is right.
    if row.at != row.step:
        wandb.plot_over_axis(run.definitions, columns)
    answer = wandb.send(delivery, columns, row.training_step, row.at, commit)
    if wandb.open_row is not row:
        run.summary.row_ended()  # that of the row before
    # `delivery` may be a call: the row itself is marked here, after wandb has returned.
    row.handed = row.received = True
    wandb.open = None if commit else row
    run.axes.note_sent(columns)
    run.summary.note_each(values, ages, ends=bool(commit))
    return answer


def _axes(run: RunContext, row: Row, values: Dict[str, Any]) -> Mapping[str, Any]:
    """The user's axes that the row must carry to have those of native wandb."""
    if row.late:
        run.summary.note_filled_in(row.filled_in)
        return row.filled_in
    if row.received and run.wandb.open_row is not row:  # a late row has come between: a row apart
        row.at = run.wandb.free_step()
        row.calls = EMPTY  # what wandb has of it stays
        return run.axes.of_row(values, row)
    return run.axes.missing(values, row)


def restore_summary(run: RunContext, open_row: Optional[Row]) -> None:
    """Show again what late rows have hidden in the summary.

    `open_row` is the one that native wandb has open.
    """
    # wandb's summary has what came last. Written by us it is a message more: only where a late
    # row has changed it.
    if run.summary.is_hidden:
        native = {**run.axes.native, **(EMPTY if open_row is None else open_row.axes)}
        run.wandb.write_summary(run.summary.to_restore(native))
