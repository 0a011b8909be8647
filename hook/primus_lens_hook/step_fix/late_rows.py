# SPDX-License-Identifier: Apache-2.0
"""Late rows: those that wandb would drop, until there is a step of wandb's for each.

Such a row gets a step of a gap between two rows, or the next one when it has waited long enough.
It must never put a row before an older one of its training step.
"""

from __future__ import annotations

import bisect
import math
from collections.abc import Iterator
from typing import Any, Dict, List, Optional, Tuple

from primus_lens_hook.step_fix.log_call import LogCall
from primus_lens_hook.step_fix.row import Row, weight


class LateRows:
    """Ordered by training step, then by call. `bytes` is what the rows take, roughly."""

    since = math.inf
    """Monotonic seconds; when the first of them began to wait."""

    def __init__(self) -> None:
        # Tuples in which no row is ever compared: insertion runs in C, which a fault cannot part.
        self._rows: List[Tuple[int, int, Row]] = []
        self._added = 0
        self.bytes = 0

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[Row]:
        return iter([row for _, _, row in self._rows])

    def add(self, row: Row, values: Dict[str, Any], call: LogCall) -> None:
        """Let a call's values join a row; one that has none yet is new here."""
        self.bytes += weight(values)
        if row.values:
            call.hand_over(row.values.update, values)
            return
        row.values = values
        self.since = min(self.since, row.since)
        self._added += 1
        entry = (row.training_step or 0, self._added, row)
        call.hand_over(bisect.insort, self._rows, entry)

    def joinable(self, step: Optional[int]) -> Iterator[Row]:
        """Rows of this training step, the newest first."""
        # A tuple of one is below each longer tuple that begins with the same step.
        end = bisect.bisect(self._rows, ((step or 0) + 1,))
        start = bisect.bisect(self._rows, (step or 0,))
        return (row for _, _, row in reversed(self._rows[start:end]))

    def remove(self, row: Row) -> None:
        """Forget a row that wandb has got."""
        kept = [entry for entry in self._rows if entry[2] is not row]
        # Begun anew with the last row: a value that replaced another was counted twice, and what
        # is left over would make each later row seem to be too much.
        self.bytes = self.bytes - weight(row.values) if kept else 0
        self._rows = kept
        self.since = min([row.since for _, _, row in kept], default=math.inf)
