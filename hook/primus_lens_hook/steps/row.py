# SPDX-License-Identifier: Apache-2.0
"""Rows on their way to W&B, and the rule for which values may share one. No clock, no wandb."""

from __future__ import annotations

import bisect
from collections.abc import Iterable, Mapping
from typing import Any, Dict, Iterator, List, Optional, Tuple

from primus_lens_hook.scalars import unwrap
from primus_lens_hook.steps.parcel import Call, Parcel

LONGEST_TEXT = 4096  # characters; a longer string goes to wandb at once, like media
MAX_DEPTH = 8  # of nested dicts that are copied; deeper ones go at once too
PER_VALUE = 100  # bytes that a number and its place in a dict take, roughly


class Row(Parcel):
    """Values of one logical step.

    `priorities` has the rank of each key's value, 0 being the strongest. A row that wandb
    has got already keeps its keys here and its values there (`values` is empty).
    """

    __slots__ = ("logical", "priorities", "sequence", "since", "timestamp")

    def __init__(self, logical: int, keys: Iterable[str], priority: int) -> None:
        self.values: Dict[str, Any] = {}
        self.handed = self.received = False
        self.logical = logical
        self.priorities = dict.fromkeys(keys, priority)
        self.sequence = 0  # in the order of the calls
        self.since = 0.0  # monotonic seconds; when it began to wait
        self.timestamp = 0.0  # Unix seconds of the call

    def fitting(
        self, values: Dict[str, Any], priority: int, overwrite: bool
    ) -> Optional[Dict[str, Any]]:
        """What of `values` may join this row; None when they need a row of their own.

        A key that is here already stays with the stronger of the two. Between equals the
        newer one replaces the older one only where wandb itself would do so (`overwrite`).
        """
        if not self.has_any(values):
            return values
        joining = dict(values)
        for key in self.priorities.keys() & values.keys():
            rank = self.priorities[key]
            if rank < priority:
                del joining[key]
            elif rank == priority and not overwrite:
                return None
        return joining

    def has_any(self, keys: Mapping[str, Any]) -> bool:
        """Whether any of these keys is in the row."""
        return not self.priorities.keys().isdisjoint(keys)

    def note(self, keys: Mapping[str, Any], priority: int) -> None:
        """Remember that these keys are in the row."""
        self.priorities.update(dict.fromkeys(keys, priority))


class Held:
    """Rows that wait, in the order of their logical steps; `size` is their bytes, roughly."""

    def __init__(self) -> None:
        # Tuples, and no row compared: insertion runs in C, which a fault cannot part.
        self._rows: List[Tuple[int, int, Row]] = []
        self.size = 0

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[Row]:
        return (row for _, _, row in self._rows)

    @property
    def first(self) -> Row:
        """The row of the lowest step."""
        return self._rows[0][2]

    def add(self, row: Row, call: Call) -> None:
        """Take a call's row in."""
        call.hand_over(bisect.insort, self._rows, (row.logical, row.sequence, row))
        self.size += weight(row.values)

    def join(self, row: Row, values: Dict[str, Any], call: Call) -> None:
        """Take a call's values into a row that waits here."""
        row.note(values, call.priority)
        self.size += weight(values)
        call.hand_over(row.values.update, values)

    def newest_at(self, logical: int) -> Optional[Row]:
        """The last row of this logical step, if one waits."""
        position = bisect.bisect(self._rows, (logical + 1,))
        row = self._rows[position - 1][2] if position else None
        return row if row is not None and row.logical == logical else None

    def count_below(self, logical: int) -> int:
        """How many rows are of lower steps than this one."""
        return bisect.bisect(self._rows, (logical,))

    def remove_first(self) -> None:
        """Forget the first row: wandb has it."""
        row = self._rows.pop(0)[2]
        self.size = self.size - weight(row.values) if self._rows else 0


def weight(values: Mapping[str, Any]) -> int:
    """Bytes that these values take, roughly."""
    size = PER_VALUE * len(values)
    for value in values.values():
        if type(value) is str:
            size += len(value)
        elif type(value) is dict:
            size += weight(value)
    return size


def copied(values: Mapping[str, Any], depth: int = 0) -> Optional[Dict[str, Any]]:
    """The values as they are now, to be sent later; None when some cannot wait.

    Media, arrays and lists cannot: their owner may change them, they may be large, and
    wandb's own errors about them belong into the call.
    """
    copy = {}
    for key, value in values.items():
        kept = _copied(value, depth)
        if kept is None and value is not None:
            return None
        copy[key] = kept
    return copy


def _copied(value: Any, depth: int) -> Any:
    if isinstance(value, dict):
        return copied(value, depth + 1) if depth < MAX_DEPTH else None
    if isinstance(value, str):
        return value if len(value) <= LONGEST_TEXT else None
    number = unwrap(value)
    return number if isinstance(number, (int, float)) else None
