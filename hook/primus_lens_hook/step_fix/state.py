# SPDX-License-Identifier: Apache-2.0
"""What the states of a run have in common: how its calls go to wandb, and what waits.

A state must never raise but what wandb or a signal handler raises; all else is an internal error.
"""

from __future__ import annotations

from typing import Any, Callable, List, Optional

from primus_lens_hook.interruption import is_interruption
from primus_lens_hook.step_fix.log_call import LogCall
from primus_lens_hook.step_fix.row import Row
from primus_lens_hook.step_fix.run_context import RunContext


class State:
    """The calls of one run; in this class nothing ever waits. The caller holds a lock."""

    def __init__(self, run: RunContext) -> None:
        self._run = run

    @property
    def counter(self) -> Optional[int]:
        """The step that native wandb would be at; None where wandb is at that step."""
        return None

    def log(self, call: LogCall) -> Any:
        """Send a call's values, or have them wait; returns and raises what wandb does."""
        raise NotImplementedError

    def flush(self) -> None:
        """Send everything that waits."""

    def flush_window(self) -> None:
        """Send what native wandb would have got by now."""

    def flush_whole(self) -> None:
        """Send everything that can go without splitting the open row."""

    def flush_overdue(self, now: float) -> Optional[float]:
        """Send what has waited too long; returns when to ask again, if ever. Monotonic seconds."""

    def waiting(self) -> List[Row]:
        """What wandb does not have yet, rows that native wandb has first."""
        return []

    def _deliver(self, row: Row, send: Callable[[], Any]) -> None:
        """Send a row that has waited. What wandb refuses now is counted."""
        # The caller of its values is gone. Raised here, the exception would come out of another
        # call, of the timer or of `finish`, and take what waits behind this row with it.
        try:
            send()
        except Exception as error:
            # Not handed over: wandb has not seen it, so the error is ours.
            if not row.handed or is_interruption(error):
                raise
            self._run.counts.dropped += not row.received
