# SPDX-License-Identifier: Apache-2.0
"""The newest values of the user's axes, which wandb fills into rows that lack them.

It knows what native wandb would fill in, and what wandb will fill in now; where they differ, rows
carry the value. It must never invent one: a number of ours in a user's column moves points.
"""

# wandb fills in the value of the row that it got last (`step_sync`), of whatever step. A late row
# that carries an older value would so change what all later rows get.

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Dict, Optional

from primus_lens_hook.step_fix.metric_definitions import MetricDefinitions, carried
from primus_lens_hook.step_fix.row import Row


class AxisValues:
    """The axes of one run. Tables are replaced, never changed: rows keep the one of their time."""

    def __init__(self, definitions: MetricDefinitions) -> None:
        self.native: Dict[str, Any] = {}
        """By axis, the value in the rows that native wandb would have written."""
        self._definitions = definitions
        # No row keeps this one, so it alone is changed in place.
        self._actual: Dict[str, Any] = {}  # the same of the rows that wandb has got

    def note_axis(self, axis: str, initial: Any) -> None:
        """Note a new axis; `initial` is what wandb fills in before any row has it, if anything."""
        # An axis may be defined a second time, or after rows have had it: what is known stays.
        if initial is not None and axis not in self.native:
            self.native = {**self.native, axis: initial}
            self._actual = {axis: initial, **self._actual}

    def note_joined(self, row: Row, values: Mapping[str, Any]) -> None:
        """Note what a call adds to a row, in native wandb."""
        row.axes = {**row.axes, **carried(values, self._definitions.axes)}

    def note_closed(self, row: Row) -> None:
        """Note that native wandb would write this row now."""
        self.native = {**self.native, **row.axes}

    def note_sent(self, columns: Mapping[str, Any]) -> None:
        """Note the columns of a row that wandb has got."""
        self._actual.update(carried(columns, self._definitions.axes))

    def missing(self, values: Mapping[str, Any], row: Row) -> Dict[str, Any]:
        """Axes that wandb would now fill in wrongly for values of this row."""
        return {
            axis: row.latest[axis]
            for axis in self._definitions.synced_axes(values)
            if axis not in values and axis not in row.axes and axis in row.latest
            and self._actual.get(axis) != row.latest[axis]
        }  # fmt: skip

    def filled_in(self, values: Mapping[str, Any], open_row: Optional[Row]) -> Dict[str, Any]:
        """What native wandb would have filled in, had it taken this call as a row.

        That row would have come after the open one, or have been part of it.
        """
        known = {**self.native, **(open_row.axes if open_row is not None else {})}
        wanted = self._definitions.synced_axes(values)
        return {axis: known[axis] for axis in wanted if axis not in values and axis in known}

    def of_row(self, values: Mapping[str, Any], row: Row) -> Dict[str, Any]:
        """The axes that these values have in native wandb, where they are part of this row."""
        synced = self._definitions.synced_axes(values)
        filled_in = {axis: row.latest[axis] for axis in synced if axis in row.latest}
        return {**filled_in, **row.axes}
