# SPDX-License-Identifier: Apache-2.0
"""How calls and waiting rows go to wandb after the step fix of a run has given up.

The state may be in any condition then, so this looks at wandb and at the marks of deliveries
alone. It must never lose what native wandb would keep, nor send a row twice.
"""

from __future__ import annotations

from typing import Any, List, Optional

from primus_lens_hook.interruption import is_interruption
from primus_lens_hook.step_fix.log_call import LogCall
from primus_lens_hook.step_fix.row import Row
from primus_lens_hook.step_fix.run_context import RunContext
from primus_lens_hook.step_fix.wandb_run import WandbRun


def log_after_giving_up(wandb: WandbRun, call: LogCall) -> Any:
    """Let wandb have the call, in a row of its own where it would drop it."""
    try:
        late = call.explicit is not None and call.explicit < wandb.counter()
    except Exception as error:  # a step that cannot be compared: wandb raises for it, at its call
        if is_interruption(error):
            raise
        late = False
    if not late:
        return wandb.send_as_is(call)
    # Our late rows have moved wandb's counter beyond native wandb's: as it came, a call that
    # native wandb keeps could be dropped now.
    _end_open_row(wandb)
    return wandb.send(call, call.values, call.training_step, None, True)


def log_rest(wandb: WandbRun, interrupting: List[LogCall], call: Optional[LogCall]) -> Any:
    """Let wandb have the calls that no row has had yet; what it returns for the last one."""
    # `handed` tells which calls wandb or a row has had: those are not sent twice.
    answer, calls = None, [*interrupting, call]
    interrupting.clear()
    for each in calls:
        if each is not None and not each.handed:
            answer = log_after_giving_up(wandb, each)
    return answer


def send_waiting_rows(run: RunContext, rows: List[Row]) -> None:
    """Send all that waits, and show again what the late rows have hidden in the summary.

    Raises what a signal handler raises, after the last row.
    """
    interruption: Optional[Exception] = None
    for row in rows:
        try:
            _send_row(run, row)
        except Exception as error:
            # Its caller is gone, and the next row may still arrive: counted, never raised.
            run.counts.dropped += not row.received
            interruption = error if is_interruption(error) else interruption
    try:
        _show_late(run, [row for row in rows if row.late])
    except Exception as error:  # the rows are there; the fault may have been of the summary
        interruption = error if is_interruption(error) else interruption
    if interruption is not None:
        raise interruption


def _show_late(run: RunContext, late: List[Row]) -> None:
    if late:
        run.summary.row_ended()
    for row in late:
        run.summary.hide(row.values, row.ages)
    run.wandb.write_summary(run.summary.to_restore({}))


def _send_row(run: RunContext, row: Row) -> None:
    """Send a row at the step of its own, if wandb has not passed it."""
    wandb = run.wandb
    free = wandb.free_step()
    # What may have arrived already keeps its step: wandb drops it the second time. Without any step
    # each row would move the counter, and the training's next rows be dropped.
    step = row.at if row.handed else free if row.late else max(row.step, free)
    wandb.send(row, row.values, row.training_step, step, True)
    wandb.open = None


def _end_open_row(wandb: WandbRun) -> None:
    try:
        wandb.end_open_row()
    except Exception as error:  # wandb's service is gone: so are the rows, but not the training
        if is_interruption(error):
            raise
