# SPDX-License-Identifier: Apache-2.0
"""Values that must be given away exactly once, whatever fails around it."""

from __future__ import annotations

from typing import Any, Callable, Dict, Optional

_set: Callable[[Any, str, bool], Any] = setattr


class Parcel:
    """Has one receiver: wandb, or a row that waits for wandb."""

    __slots__ = ("handed", "received", "values")

    values: Dict[str, Any]
    handed: bool
    received: bool

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
        explicit: Optional[int],
        logical: Optional[int],
        priority: int,
    ) -> None:
        self.values = values
        self.handed = self.received = False
        self.step = step
        self.commit = commit
        self.explicit = explicit  # the step as an integer; None: none given, or not readable
        self.logical = logical  # the step that the caller means; None: wandb's counter
        self.priority = priority

    @property
    def is_unreadable(self) -> bool:
        """Whether wandb will refuse the step."""
        return self.step is not None and self.explicit is None
