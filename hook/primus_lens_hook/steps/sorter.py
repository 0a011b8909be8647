# SPDX-License-Identifier: Apache-2.0
"""Puts the rows of a run in conflict into the order of their logical steps.

A row waits in the window until nothing has been as late as that for its step, or its time
is up. A row whose step has already left is parked: it takes a native step that no other
row wants, or the next one when it has waited for long. Values that cannot wait (media,
arrays) take everything before them along.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from typing import Any, Dict, List, Optional

from primus_lens_hook.steps.counts import Counts
from primus_lens_hook.steps.limits import Limits
from primus_lens_hook.steps.native import NativeRun
from primus_lens_hook.steps.parcel import Call, Parcel
from primus_lens_hook.steps.row import Held, Row, copied

logger = logging.getLogger("wandb_step_fix")


class Sorter:
    """Window and parking place of one run; its caller holds a lock around everything."""

    def __init__(self, native: NativeRun, limits: Limits, counts: Counts) -> None:
        self.window = Held()
        self.parked = Held()
        self.limits = limits
        self._native = native
        self._counts = counts
        self._calls = 0
        self._latest = native.open  # the row of the newest call, while wandb would merge into it
        self._newest_step = native.sent
        self._reach = 0  # how far behind the newest step a call has been
        self._hidden: Dict[str, Any] = {}  # what late rows have hidden in the summary

    def place(self, call: Call) -> Any:
        """Send the call's values, or have them wait; returns and raises what wandb does."""
        self._calls += 1
        logical = call.logical
        assert logical is not None
        if self._latest is not None and self._latest.logical != logical:
            self._latest = None
        if call.explicit is not None:
            self._reach = max(self._reach, self._newest_step - logical)
            self._newest_step = max(self._newest_step, logical)
        self._native.newest.note(call.values, logical)
        answer = None
        values = copied(call.values)
        if values is None:
            answer = self._send_at_once(call, logical)
        elif values:
            self._take(call, logical, values)
        if call.commit or call.explicit is None:  # whose step is a guess: nothing to overwrite
            self._latest = None
        self._trim()
        return answer

    def flush(self) -> None:
        """Send everything that waits."""
        waiting = len(self.window) + len(self.parked)
        self._send_window(len(self.window))
        self._send_parked()
        self._settle()
        self._counts.flushes += waiting > 0

    def waiting(self) -> List[Row]:
        """What wandb does not have yet."""
        return [row for row in (*self.parked, *self.window) if not row.handed]

    def make_way(self, keys: Mapping[str, Any]) -> None:
        """Have wandb write, before the user's summary of these keys, what it would have written."""
        rows = [*self.waiting(), *([self._native.open] if self._native.open else [])]
        if any(row is not self._latest and row.has_any(keys) for row in rows):
            self.flush()
            if self._native.open is not None and self._native.open is not self._latest:
                self._native.end_open_row()

    def forget(self) -> None:
        """Leave what waits to another process."""
        self.window, self.parked = Held(), Held()

    def flush_overdue(self, now: float) -> float:
        """Send what has waited too long; returns when to ask again. Monotonic seconds."""
        overdue = [row.since <= now - self.limits.flush_interval for row in self.window]
        if any(overdue):
            self._send_window(len(overdue) - overdue[::-1].index(True))
            self._counts.flushes += 1
        if any(row.since <= now - self.limits.parked_interval for row in self.parked):
            self._send_parked()
            self._counts.flushes += 1
        self._settle()
        return min((row.since for row in self.window), default=now) + self.limits.flush_interval

    def _take(self, call: Call, logical: int, values: Dict[str, Any]) -> None:
        """Let the values join the first row of their step that has room for them."""
        open_row = self._open_row_at(logical)
        joining = self._fitting(open_row, values, call)
        if open_row is not None and joining is not None:
            self._join_open_row(call, joining, open_row)
            self._latest = open_row
            return
        for held in (self.window, self.parked):
            row = held.newest_at(logical)
            joining = self._fitting(row, values, call)
            if row is not None and joining is not None:
                logger.debug("step %d waits already, joined by %s", logical, list(joining))
                held.join(row, joining, call)
                self._latest = row
                return
        self._latest = self._row(call, logical, values)
        # Without a step it is no late row of its step: it is one of now.
        late = call.explicit is not None and logical <= self._native.sent
        logger.debug("step %d %s: %s", logical, "is parked" if late else "waits", list(values))
        (self.parked if late else self.window).add(self._latest, call)

    def _fitting(
        self, row: Optional[Row], values: Dict[str, Any], call: Call
    ) -> Optional[Dict[str, Any]]:
        if row is None:
            return None
        # wandb merges into the row of the newest call alone, and we not without being told a step.
        overwrite = row is self._latest and call.explicit is not None
        overwrite = overwrite and not self.limits.keep_duplicates
        return row.fitting(values, call.priority, overwrite)

    def _row(self, call: Call, logical: int, values: Dict[str, Any]) -> Row:
        row = Row(logical, call.values, call.priority)
        row.values = values
        row.sequence, row.since, row.timestamp = self._calls, time.monotonic(), time.time()
        return row

    def _open_row_at(self, logical: int) -> Optional[Row]:
        row = self._native.open
        return row if row is not None and row.logical == logical else None

    def _join_open_row(self, call: Call, values: Dict[str, Any], row: Row) -> Any:
        row.note(values, call.priority)
        return self._send(call, values, row, self._native.counter(), call.commit)

    def _send_at_once(self, call: Call, logical: int) -> Any:
        self._send_window(self.window.count_below(logical + 1))
        open_row = self._open_row_at(logical)
        if open_row is not None and not open_row.has_any(call.values):
            return self._join_open_row(call, call.values, open_row)
        step = max(logical, self._native.free_step())
        row = self._row(call, logical, {})
        return self._send(call, call.values, row, step, call.commit)

    def _send_window(self, count: int) -> None:
        for _ in range(count):
            row = self.window.first
            while self.parked and self._native.free_step() < row.logical:
                self._send_waiting(self.parked, self._native.free_step())
            self._send_waiting(self.window, max(row.logical, self._native.free_step()))

    def _send_parked(self) -> None:
        while self.parked:
            self._send_waiting(self.parked, self._native.free_step())

    def _send_waiting(self, held: Held, step: int) -> None:
        row = held.first
        logger.debug("step %d goes to wandb as its step %d", row.logical, step)
        try:
            self._send(row, {"_timestamp": row.timestamp, **row.values}, row, step, None)
        except Exception:
            if not row.refused:
                raise
            self._counts.dropped += 1
        held.remove_first()
        row.values = {}

    def _send(
        self, parcel: Parcel, values: Dict[str, Any], row: Row, step: int, commit: Optional[bool]
    ) -> Any:
        """Give wandb values of a row at a native step."""
        native = self._native
        if step != row.logical:
            values = {**native.axes.missing(values, row.logical), **values}
            native.plot_over_axis(values)
        hidden = native.newest.hidden_by(values, row.logical, native.sent)
        if hidden:  # what is put back must come after the row: the row ends here
            self._hidden.update(hidden)
            commit = True
        answer = native.give(parcel, values, row.logical, step, commit)
        native.open = None if commit else row
        native.sent = max(native.sent, row.logical)
        return answer

    def _settle(self) -> None:
        """Show the newest values in the summary again."""
        if self._hidden:
            hidden, self._hidden = self._hidden, {}
            self._native.restore(hidden)

    def _trim(self) -> None:
        """Send what has no reason to wait, and what there is no room for."""
        limit = self.limits.buffer_size
        safe = self.window.count_below(self._newest_step - 2 * self._reach)
        count = max(len(self.window) - limit, safe)
        if count > 0:
            self._send_window(count)
            self._counts.flushes += 1
        if len(self.parked) > limit:
            self._send_parked()
            self._counts.flushes += 1
        if self.window.size + self.parked.size > self.limits.bytes:
            self.flush()
        self._settle()
