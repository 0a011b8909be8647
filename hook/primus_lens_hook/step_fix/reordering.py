# SPDX-License-Identifier: Apache-2.0
"""The state of a run in conflict: what native wandb drops is kept, and what it keeps is not moved.

Each call is compared with the counter that native wandb would have by now. A call that it keeps
must never get another row or another step than there.
"""

from __future__ import annotations

import logging
import sys
import time
from typing import Any, Dict, List, Optional, Tuple

from primus_lens_hook.step_fix.duplicates import overwritten
from primus_lens_hook.step_fix.joining import Held, find_row, named_axes
from primus_lens_hook.step_fix.late_rows import LateRows
from primus_lens_hook.step_fix.log_call import LogCall
from primus_lens_hook.step_fix.metric_definitions import carried
from primus_lens_hook.step_fix.reorder_window import ReorderWindow
from primus_lens_hook.step_fix.row import Row, copied
from primus_lens_hook.step_fix.row_sender import restore_summary, send_row
from primus_lens_hook.step_fix.run_context import RunContext
from primus_lens_hook.step_fix.state import State
from primus_lens_hook.wandb_step import commits

logger = logging.getLogger("wandb_step_fix")
NO_LIMIT = sys.maxsize


class Reordering(State):
    """One run's calls, from the first that wandb would drop."""

    def __init__(self, run: RunContext) -> None:
        super().__init__(run)
        self.window = ReorderWindow()
        self.late = LateRows()
        self._counter = run.wandb.counter()  # what native wandb would have
        self._row: Optional[Row] = run.wandb.open_row  # the same of the open row
        # wandb has it: its values came while the run was in order.
        if self._row is not None:
            self._row.handed = self._row.received = True
        # Training steps that a late call has been behind the newest. 0 until there was one that
        # could join a row: where none can, rows would wait in vain.
        self._reach = 0

    @property
    def counter(self) -> Optional[int]:
        """The step that native wandb would be at."""
        return self._counter

    def log(self, call: LogCall) -> Any:
        """Send the call's values, or have them wait."""
        run, explicit = self._run, call.explicit
        if explicit is not None and explicit < self._counter:
            run.counts.conflicts += 1
            # debug() takes a lock of all loggers to find out whether anybody listens. A signal
            # handler that raised there has left it locked, and wandb's threads waited for ever.
            if logger.getEffectiveLevel() <= logging.DEBUG:
                logger.debug("step %d is behind %d: %s", explicit, self._counter, list(call.values))
            # Noted after it: a call that wandb refuses says nothing of the training.
            answer = self._log_late(call)
            run.note_training_step(call)
        else:
            answer = self._log_kept(call)
        self._trim()
        return answer

    def flush(self) -> None:
        """Send everything that waits."""
        self._run.counts.flushes += bool(self.window or self.late)
        self.flush_window()
        self._send_late(NO_LIMIT)

    def flush_window(self) -> None:
        """Send what native wandb would have got by now."""
        # Not the late rows: each ends the row that is open, and native wandb has none of them.
        for row in self.window:
            self._deliver_row(row, self.window)
        restore_summary(self._run, self._row)

    def flush_whole(self) -> None:
        """Send everything that can go without splitting the open row."""
        self.flush_window()
        if self._nothing_is_split():
            self._send_late(NO_LIMIT)

    def flush_overdue(self, now: float) -> Optional[float]:
        """Send what has waited too long; returns when to ask again."""
        interval = self._run.limits.flush_interval
        for row in self.window:
            if row.since > now - interval:
                break
            self._deliver_row(row, self.window)
            self._run.counts.flushes += 1
        self._send_late_if_due()
        waiting = [row.since for row in self.window] + [self.late.since]
        # What is overdue still waits for the open row to end: look again later. Counted, it would
        # have the timer ask again at once, without a pause.
        return min([now, *(since for since in waiting if since > now - interval)]) + interval

    def waiting(self) -> List[Row]:
        """What wandb does not have yet, rows that native wandb has first."""
        return [row for row in (*self.window, *self.late) if not row.received]

    # Calls that native wandb keeps.

    def _log_kept(self, call: LogCall) -> Any:
        run, explicit = self._run, call.explicit
        row = self._row if explicit in (None, self._counter) else None
        values: Optional[Dict[str, Any]] = call.values
        older: List[LogCall] = []
        if row is None:
            row = run.row(self._counter if explicit is None else explicit, call, self._row)
        else:
            values, older = self._join(row, call)
        answer = self._log_late(call) if values is None else self._place(row, call, values)
        # Only now: what wandb has refused is in no row of native wandb, and overwrites nothing.
        for each in older:
            self._log_late(each)
        if values is not None:
            run.note_keys(row, values, call, self._row)
        run.advance(row, call, self._row)
        self._counter = row.step + row.committed
        self._row = None if row.closed else row
        return answer

    def _join(self, row: Row, call: LogCall) -> Tuple[Optional[Dict[str, Any]], List[LogCall]]:
        """What the row in progress takes of a call, None for nothing; and what it overwrites."""
        older: Optional[List[LogCall]] = []
        if self._run.limits.keep_duplicates:
            older = self._overwritten(row, call)
        values = None if older is None else row.accepted(call.values, call.priority)
        if row.training_step is None or call.explicit is not None:
            row.training_step = call.training_step
        return values, older or []

    def _overwritten(self, row: Row, call: LogCall) -> Optional[List[LogCall]]:
        """What native wandb would overwrite, to be late rows; None where that is not known."""
        if row.received and self._run.wandb.open_row is not row:
            return []  # a late row has ended it: nothing is overwritten
        return overwritten(row, call, self._run.definitions.axes)

    def _place(self, row: Row, call: LogCall, values: Dict[str, Any]) -> Any:
        """Let values of a call join their row: in the window, or in wandb."""
        if not values:
            return self._end_row(row, call)
        if not row.received:
            # Copied: the caller may reuse its dict, and what waits would change with it.
            wait = self._reach or row.values
            waiting = copied(call.numbers_of(values)) if wait and self._may_wait() else None
            if waiting is not None:
                row.timestamp = time.time()
                row.since = row.since or time.monotonic()
                row.ages = {**row.ages, **dict.fromkeys(waiting, self._run.age(row, call))}
                return self.window.add(row, waiting, call)
            self.flush_window()
        if not row.received:
            self._make_room(row)
        ages = dict.fromkeys(values, self._run.age(row, call))
        commit = commits(call.step, call.commit) or None
        return send_row(self._run, row, call, values, ages, commit)

    def _may_wait(self) -> bool:
        """Whether a call may return before wandb has it: what wandb raises then, nobody sees."""
        return self._run.limits.buffer_size > 0  # not at the interpreter's end

    def _end_row(self, row: Row, call: LogCall) -> Any:
        """A call without values: it moves wandb's counter, and may end the open row."""
        # Sent now it would overtake the rows of the window; below wandb's counter it is dropped.
        wandb = self._run.wandb
        if self.window or (call.explicit is not None and call.explicit < wandb.counter()):
            return call.mark_empty()
        answer = wandb.send(call, call.values, None, call.step, call.commit)
        if row is not wandb.open_row or commits(call.step, call.commit):
            wandb.open = None
            self._run.summary.row_ended()
        return answer

    def _make_room(self, row: Row) -> None:
        """Before a row of wandb's own goes: send late rows that fit in before its step."""
        self._send_late(NO_LIMIT if self._late_is_overdue() else row.step)
        row.at = max(row.step, self._run.wandb.free_step())

    # Calls that native wandb drops.

    def _log_late(self, call: LogCall) -> Any:
        """Let a call join a row of its training step that waits, or make it a late row."""
        if not call.values:
            return call.mark_empty()
        values = self._run.wandb.deferrable(call) if self._may_wait() else None
        row = self._late_row(call)
        age = self._run.age(row, call)
        # What cannot wait goes at once, after all that native wandb has before it.
        if values is None:
            self.flush_window()
            row.at = self._run.wandb.free_step()
            ages = dict.fromkeys(call.values, age)
            answer = send_row(self._run, row, call, call.values, ages, True)
            restore_summary(self._run, self._row)
            return answer
        axes = {**row.filled_in, **carried(values, named_axes(self._run))}
        if not axes and call.training_step is not None:  # else no row can have the same axes
            newest = self._run.steps.newest or call.training_step
            self._reach = max(self._reach, newest - call.training_step)
        held_by: Held = self.late
        found = find_row(self._run, self.window, self.late, row, values, axes, call.priority)
        if found is not None:
            held_by, row = found
            values = row.accepted(values, call.priority)
        row.note(values, call, False)
        row.ages = {**row.ages, **dict.fromkeys(values, age)}
        row.late_keys = {**row.late_keys, **values}
        return held_by.add(row, values, call)

    def _late_row(self, call: LogCall) -> Row:
        run = self._run
        # Without a training step there is a row apart only for a key that came twice.
        step = self._counter if call.training_step is None else call.training_step
        row = run.row(step, call, None)
        row.late, row.training_step = True, step
        # The axes of now: by the time this row is sent the training is further, and wandb would
        # fill in that. Most values of a GRPO training were drawn at another place so.
        synced = run.axes.filled_in(call.values, self._row) if call.synced is None else call.synced
        row.filled_in = synced
        row.since, row.timestamp = time.monotonic(), time.time()
        return row

    def _send_late(self, limit: int) -> None:
        """Send late rows at steps below the limit that no other row has."""
        for row in self.late:
            free = self._run.wandb.free_step()
            if free >= limit:
                break
            if not row.handed:
                # At its own step if that is free; beyond all rows there is no such step.
                row.at = row.step if free <= row.step < limit < NO_LIMIT else free
            self._deliver_row(row, self.late)
        restore_summary(self._run, self._row)

    def _late_overflows(self) -> bool:
        """Whether there are more late rows than may wait."""
        limits = self._run.limits
        held = self.window.bytes + self.late.bytes
        return len(self.late) > limits.buffer_size or held > limits.bytes

    def _late_is_overdue(self) -> bool:
        """Whether a late row has waited long enough for a gap."""
        return self.late.since <= time.monotonic() - self._run.limits.flush_interval

    # Both kinds of rows.

    def _deliver_row(self, row: Row, held: Held) -> None:
        """Send a row that waits, unless a signal handler within this call has done so."""
        # Sent twice it would still be there once: it has a fixed step, and wandb merges equal
        # values into an open row, and drops them behind it.
        if not row.received:
            if not (row.late or row.handed):
                self._make_room(row)
            # wandb adds the time of sending where the row has none, and W&B's charts over time
            # would show the wait.
            values = {"_timestamp": row.timestamp, **row.values}
            commit = row.late or row.closed or None
            self._deliver(row, lambda: send_row(self._run, row, row, values, row.ages, commit))
        held.remove(row)

    def _trim(self) -> None:
        """Send what has no reason to wait, and what there is no room for."""
        # Twice the greatest delay so far: a caller that lags varies. A guess; if it is wrong, the
        # value becomes a late row and none is lost.
        run, limits = self._run, self._run.limits
        safe = (run.steps.newest or 0) - 2 * self._reach
        for row in self.window:
            passed = row.closed and (row.training_step is None or row.training_step <= safe)
            full = len(self.window) > limits.buffer_size or self.window.bytes > limits.bytes
            if not (passed or full):
                break
            self._deliver_row(row, self.window)
            run.counts.flushes += 1
        self._send_late_if_due()

    def _send_late_if_due(self) -> None:
        """Send late rows that have waited too long, or for which there is no room."""
        overdue = self._late_is_overdue() and self._nothing_is_split()
        if self.late and (overdue or self._late_overflows()):
            self._send_late(NO_LIMIT)
            self._run.counts.flushes += 1

    def _nothing_is_split(self) -> bool:
        """Whether native wandb has no row open that late rows would end too early."""
        # Values that native wandb would still put into that row would become a second row.
        row = self._run.wandb.open_row
        return row is None or row.closed
