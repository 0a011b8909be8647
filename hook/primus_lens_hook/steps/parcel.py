# SPDX-License-Identifier: Apache-2.0
"""Values that must be given away exactly once, whatever fails around it."""

from __future__ import annotations

from typing import Any, Callable, Dict, Optional

from primus_lens_hook.counter import as_integer

_set: Callable[[Any, str, bool], Any] = setattr


class Parcel:
    """Has one receiver: wandb, or a row that waits for wandb."""

    __slots__ = ("handed", "received", "values")

    def __init__(self, values: Dict[str, Any]) -> None:
        self.values = values
        self.handed = False
        self.received = False

    def hand_over(self, receive: Callable[..., Any], *what: Any) -> Any:
        """Call the receiver and return its answer.

        One expression, so that no fault of ours can come between the marks and the call:
        what is marked has been given away, what is not marked has not.
        """
        return (_set(self, "handed", True), receive(*what), _set(self, "received", True))[1]

    @property
    def refused(self) -> bool:
        """Whether the receiver raised."""
        return self.handed and not self.received


class Call(Parcel):
    """One log call: `values` under their keys, and where the caller wants them."""

    __slots__ = ("commit", "explicit", "logical", "priority", "step")

    def __init__(
        self,
        values: Dict[str, Any],
        step: Any,
        commit: Optional[bool],
        logical: Optional[int],
        priority: int,
    ) -> None:
        super().__init__(values)
        self.step = step
        self.commit = commit
        self.explicit = None if step is None else as_integer(step)
        self.logical = logical  # the step that the caller means; None: it cannot be read
        self.priority = priority
