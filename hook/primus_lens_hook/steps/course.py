# SPDX-License-Identifier: Apache-2.0
"""How a run's calls are handled: passed through, put in order, or given without steps.

A run begins passed through, is put in order from its first conflict on, and loses its
steps for good once another process logs to it. No locks here, and no fence: see `run`.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from mmap import mmap
from typing import Any, Callable, Dict, Optional

from primus_lens_hook.counter import commits
from primus_lens_hook.steps.axes import step_in
from primus_lens_hook.steps.counts import Counts
from primus_lens_hook.steps.limits import Limits
from primus_lens_hook.steps.native import NOTHING_SENT, NativeRun
from primus_lens_hook.steps.parcel import Call
from primus_lens_hook.steps.row import Row
from primus_lens_hook.steps.sorter import Sorter

logger = logging.getLogger("wandb_step_fix")


class Course:
    """One run's. `handle` takes a call, and returns and raises what wandb does."""

    def __init__(
        self,
        native: NativeRun,
        limits: Limits,
        start_timer: Callable[[], None],
        others_log: mmap,  # one byte that forked children see: whether any logs to our runs
    ) -> None:
        self.native = native
        self.limits = limits
        self.counts = Counts()
        self.told: Optional[int] = None  # the training's step, by its own word
        self.sorter: Optional[Sorter] = None  # while the run is put in order
        self.handle: Callable[[Call], Any] = self._pass_through
        self._start_timer = start_timer
        self.others_log = others_log
        self._highest: Optional[int] = None  # explicit step so far
        self._would_be = 0  # wandb's counter, had it got each call as it came

    def step_of(self, values: Mapping[str, Any]) -> Optional[int]:
        """The step of a row that names none; None when nobody but wandb's counter knows it.

        It is what a framework has put into the row, or what the training told, or the
        highest step so far once the counter is ours.
        """
        found = step_in(values)
        if found is None:
            found = self.told
        if found is None and self.sorter is not None:
            found = self.native.counter() if self._highest is None else self._highest
        return found

    def share(self) -> None:
        """Heed that another process logs to this run too: nobody knows wandb's counter now."""
        if self.handle == self._without_step:
            return
        self.others_log[0] = 1
        self.native.end_open_row()  # or the next row would join it
        self.handle = self._without_step
        for row in self.sorter.waiting() if self.sorter is not None else ():
            self.native.give_without_step(row, row.logical)
        self.sorter = None

    def end_order(self) -> None:
        """Send everything that waits, and pass through what comes."""
        if self.sorter is not None:
            self.sorter.flush()
            self.native.end_open_row()  # or calls that name its native step would join it
            self.sorter = None
            self.handle = self._pass_through

    def _pass_through(self, call: Call) -> Any:
        """Hand the call on as it is, unless wandb would drop it."""
        native = self.native
        if call.is_unreadable:
            return native.give_as_is(call, call.step, call.commit)
        explicit = call.explicit
        counter = native.counter()
        row = native.open if explicit is None or explicit == counter else None
        values: Optional[Dict[str, Any]] = call.values
        if row is not None:
            overwrite = not self.limits.keep_duplicates
            values = row.fitting(call.values, call.priority, overwrite)
        if values is None or (explicit is not None and explicit < counter):
            return self._conflict(call, counter)
        logical = counter if call.logical is None else call.logical
        if row is not None and explicit is None and row.logical != NOTHING_SENT:
            logical = row.logical  # it joins a row that has its step already
        axis = None if call.logical is None else logical
        answer = native.give(call, values, axis, call.step, call.commit)
        if explicit is not None:
            self._highest = max(explicit, self._highest or explicit)
        native.sent = max(native.sent, logical)
        native.newest.note(values, logical)
        if commits(call.step, call.commit):
            native.open = None
        elif row is None:
            native.open = Row(logical, values, call.priority)
        else:
            row.logical = logical
            row.note(values, call.priority)
        return answer

    def _conflict(self, call: Call, counter: int) -> Any:
        """From here on the run's rows are put in order."""
        self._start_timer()
        if call.logical is None:
            call.logical = counter
        logger.info("step %s came at step %s: rows are put in order now", call.step, counter)
        self._would_be = counter
        self.sorter = Sorter(self.native, self.limits, self.counts)
        self.handle = self._in_order
        return self._in_order(call)

    def _in_order(self, call: Call) -> Any:
        assert self.sorter is not None
        if call.is_unreadable:
            return self.native.give_as_is(call, call.step, call.commit)
        self._note_conflict(call)
        return self.sorter.place(call)

    def _note_conflict(self, call: Call) -> None:
        step = call.explicit
        if step is not None and step < self._would_be:
            self.counts.conflicts += 1
            logger.debug("step %d is behind %d: %s", step, self._would_be, list(call.values))
            return
        if step is not None:
            self._would_be = step
            self._highest = max(step, self._highest or step)
        self._would_be += commits(call.step, call.commit)

    def _without_step(self, call: Call) -> Any:
        """A row of its own, wherever wandb's counter stands: such a row is never dropped."""
        native = self.native
        if call.is_unreadable or not call.values:
            return native.give_as_is(call, call.step, call.commit)
        native.plot_over_axis(call.values)
        return native.give_without_step(call, call.logical)
