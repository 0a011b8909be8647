# SPDX-License-Identifier: Apache-2.0
"""The state of a run that another process logs to: wandb's step is no longer predictable.

Each row goes whole and without a step, to where wandb's counter stands, and is drawn over its
training step. It must never leave a row open, which values of the other processes would join.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any, Dict, List, Optional

from primus_lens_hook.step_fix.log_call import Delivery, LogCall
from primus_lens_hook.step_fix.row import NEVER, Age, Row, copied
from primus_lens_hook.step_fix.run_context import RunContext
from primus_lens_hook.step_fix.state import State
from primus_lens_hook.wandb_step import commits


class Shared(State):
    """One run's calls, from when another process may log to it.

    With `holds` a row is kept back until no call of this process can join it any more.
    """

    # A child never holds: it may end at any moment by os._exit, as all of multiprocessing's forked
    # children do, and atexit is not run then.

    def __init__(self, run: RunContext, holds: bool, waiting: Iterable[Row] = ()) -> None:
        run.wandb.end_open_row()  # or the next row would join it
        super().__init__(run)
        self._holds = holds
        self._counter = 0  # what native wandb would have, were it not for the others
        self._row: Optional[Row] = None  # the same of the open row
        self._held: Optional[Row] = None  # the row of which values wait
        for row in waiting:  # their steps may have been taken by the others
            self._deliver_row(row)

    def log(self, call: LogCall) -> Any:
        """Send a call's values, or let them wait for the rest of their row."""
        run, explicit = self._run, call.explicit
        # It would end a row at a step; here no row of ours is open in wandb, and no step is known.
        if not call.values and explicit is not None:
            return call.mark_empty()
        if explicit is not None and explicit < self._counter:
            run.counts.conflicts += 1
            axes = run.axes.filled_in(call.values, self._row)
            late = run.row(explicit, call, None)
            answer = self._send_call(late, call, {**axes, **call.values})
            run.note_training_step(call)
            return answer
        row = self._row if explicit in (None, self._counter) else None
        if row is None:
            row = run.row(self._counter if explicit is None else explicit, call, self._row)
        answer = self._place(row, call)
        run.advance(row, call, self._row)
        self._counter = row.step + row.committed
        self._row = None if row.closed else row
        if row.closed:
            self.flush()
        return answer

    def flush(self) -> None:
        """Send what waits. Not sooner: native wandb would not have the open row either."""
        row, self._held = self._held, None
        if row is not None and not row.received:
            self._deliver_row(row)

    def flush_overdue(self, now: float) -> Optional[float]:
        """Send what has waited too long; returns when to ask again."""
        row, interval = self._held, self._run.limits.flush_interval
        if row is None:
            return None
        if row.since <= now - interval:
            self.flush()
        return row.since + interval

    def waiting(self) -> List[Row]:
        """What wandb does not have yet."""
        return [] if self._held is None else [self._held]

    def _place(self, row: Row, call: LogCall) -> Any:
        if self._held is not row:
            self.flush()
        # A row of one call alone is not held: what wandb raises for it is this caller's.
        is_whole = self._held is None and commits(call.step, call.commit)
        holds = self._holds and not row.received and not is_whole
        values = copied(call.unwrapped) if holds else None
        if values is None:
            self.flush()
            axes = self._run.axes.of_row(call.values, row)
            return self._send_call(row, call, {**axes, **call.values} if call.values else {})
        row.ages = {**row.ages, **dict.fromkeys(values, self._run.age(row, call))}
        row.timestamp = time.time()
        row.since = row.since or time.monotonic()
        if self._held is None:
            row.values, self._held = {}, row
        return call.hand_over(row.values.update, values)

    def _deliver_row(self, row: Row) -> None:
        axes = row.filled_in if row.late else self._run.axes.of_row(row.values, row)
        values = {"_timestamp": row.timestamp, **axes, **row.values}
        ages = {**dict.fromkeys(axes, NEVER), **row.ages}
        self._deliver(row, lambda: self._send(row, row, values, ages))

    def _send_call(self, row: Row, call: LogCall, values: Dict[str, Any]) -> Any:
        return self._send(row, call, values, dict.fromkeys(values, self._run.age(row, call)))

    def _send(
        self, row: Row, delivery: Delivery, values: Dict[str, Any], ages: Dict[str, Age]
    ) -> Any:
        run = self._run
        run.wandb.plot_over_axis(run.definitions, values)
        # A step of None, since the other process may have passed any that is known here: the row
        # would be dropped. True, so that nothing of the others can join it.
        answer = run.wandb.send(delivery, values, row.training_step, None, True)
        run.axes.note_sent(values)
        run.summary.note_each(values, ages, ends=True)
        return answer
