# SPDX-License-Identifier: Apache-2.0
"""The reorder window: rows that wandb keeps, held back so that late values can join them.

Rows leave in the order of the calls, which is that of wandb's own steps. The window delays them
and must never reorder them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Any, Deque, Dict, Optional

from primus_lens_hook.step_fix.log_call import LogCall
from primus_lens_hook.step_fix.row import EMPTY, Row, weight


class ReorderWindow:
    """First in, first out. `bytes` is what the rows take, roughly."""

    def __init__(self) -> None:
        self._rows: Deque[Row] = deque()
        self.bytes = 0

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[Row]:
        return iter(tuple(self._rows))

    def add(self, row: Row, values: Dict[str, Any], call: LogCall) -> None:
        """Let values join a row; one that is not here yet is the newest from now on."""
        if row not in self._rows:
            row.values = {}
            self._rows.append(row)
        self.bytes += weight(values)
        call.hand_over(row.values.update, values)

    def remove(self, row: Row) -> None:
        """Forget a row that wandb has got."""
        # A signal handler that flushes may have removed it within the call that sends it.
        if self._rows and self._rows[0] is row:
            self._rows.popleft()
            # Begun anew when empty, as in LateRows: values that replaced others were counted twice.
            self.bytes = self.bytes - weight(row.values) if self._rows else 0
            row.values = EMPTY

    def joinable(self, step: Optional[int]) -> Iterator[Row]:
        """Rows of this training step that nothing of wandb's own can join any more."""
        return (row for row in reversed(self._rows) if row.training_step == step and row.closed)
