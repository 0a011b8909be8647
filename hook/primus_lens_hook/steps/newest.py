# SPDX-License-Identifier: Apache-2.0
"""The newest value of each key by logical step: what a run's summary has to show.

wandb's summary is the value of the row it got last. A late row would put an old value
there; this remembers what to put back. It keeps numbers and short texts, never a tensor.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Dict, Tuple

from primus_lens_hook.scalars import unwrap
from primus_lens_hook.steps.row import LONGEST_TEXT

MAX_KEYS = 10_000  # a training that makes up keys for each row must not fill the memory
MAX_ROWS = 64

_NUMBERS = {float, int, bool}


class Newest:
    """Values of one run."""

    def __init__(self) -> None:
        self._newest: Dict[str, Tuple[int, Any]] = {}
        # The newest rows by their keys, not looked into yet: a run in order never needs them.
        self._rows: Dict[Tuple[str, ...], Tuple[int, Mapping[str, Any]]] = {}

    def note(self, values: Mapping[str, Any], logical: int) -> None:
        """Remember the values of a row that was logged for this step; they must not change."""
        if not _NUMBERS.issuperset(map(type, values.values())):
            self._look_into_rows()
            self._note_each(values, logical)
            return
        keys = tuple(values)
        known = self._rows.get(keys)
        if known is not None:
            if logical < known[0]:
                return
            del self._rows[keys]  # of rows of one step the later one counts: it goes to the end
        self._rows[keys] = (logical, values)
        if len(self._rows) > MAX_ROWS:
            self._look_into_rows()

    def written(self, values: Mapping[str, Any]) -> None:
        """Remember what the user has put into the summary: it is newer than any row so far."""
        self._look_into_rows()
        for key in values.keys() & self._newest.keys():
            logical, _ = self._newest.pop(key)
            if _is_small(values[key]):
                self._newest[key] = (logical, values[key])

    def hidden_by(self, values: Mapping[str, Any], logical: int, sent: int) -> Dict[str, Any]:
        """What a row of this step would hide in the summary.

        Those are the values of newer steps, up to `sent`, the newest that wandb has.
        """
        self._look_into_rows()
        hidden = {}
        for key in values:
            known = self._newest.get(key)
            if known is not None and logical < known[0] <= sent:
                hidden[key] = known[1]
        return hidden

    def _look_into_rows(self) -> None:
        rows, self._rows = self._rows, {}
        for logical, values in rows.values():
            self._note_each(values, logical)

    def _note_each(self, values: Mapping[str, Any], logical: int) -> None:
        newest = self._newest
        for key, value in values.items():
            small = value if type(value) in _NUMBERS else unwrap(value)
            known = newest.get(key)
            if known is not None and logical < known[0]:
                continue
            if not _is_small(small):
                newest.pop(key, None)
            elif known is not None or len(newest) < MAX_KEYS:
                newest[key] = (logical, small)


def _is_small(value: Any) -> bool:
    if isinstance(value, str):
        return len(value) <= LONGEST_TEXT
    return value is None or isinstance(value, (int, float))
