# SPDX-License-Identifier: Apache-2.0
"""Values on their way to wandb, and the marks that say how far they have come.

The marks tell an exception of wandb's own from an internal error, and what has arrived from what
has not. Between a mark and what it says nothing must ever be able to fail.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Callable, Dict, Optional, Tuple

DEFAULT_PRIORITY = 5

_set: Callable[[Any, str, bool], Any] = setattr


class Delivery:
    """Values with one receiver: wandb, or a row that waits for wandb."""

    values: Dict[str, Any]
    handed = False
    """Whether the receiver has been called."""
    received = False
    """Whether it has returned."""

    def hand_over(self, receive: Callable[..., Any], *arguments: Any) -> Any:
        """Call the receiver and return its answer."""
        # One expression, evaluated from left to right: no line of ours stands between the marks
        # and the call. What is marked as received has arrived; what is not handed over has not; in
        # between is only what wandb, or a signal handler within it, has raised.
        return (_set(self, "handed", True), receive(*arguments), _set(self, "received", True))[1]

    @property
    def refused(self) -> bool:
        """Whether the receiver raised."""
        return self.handed and not self.received


class LogCall(Delivery):
    """One log call: what its caller passed, and what that means."""

    # Defaults lie in the class: a log call costs as little as it can.
    explicit: Optional[int] = None
    """The step as an integer; None where there is none, or none to be read."""
    shown: Optional[int] = None
    """The training step that the call itself shows."""
    training_step: Optional[int] = None
    """None where only wandb's counter is known."""
    late = False
    synced: Optional[Mapping[str, Any]] = None
    """Axes that wandb filled in at the call, where duplicates are to be kept."""
    number = 0
    """Among the calls of the run."""
    priority = DEFAULT_PRIORITY
    """Of two values for one key, that of the lower number stays."""

    def __init__(
        self,
        values: Dict[str, Any],
        keys: Tuple[str, ...],
        step: Any,
        commit: Optional[bool],
        template: Optional[str],
    ) -> None:
        self.values = values
        self.keys = keys
        self.step = step
        self.commit = commit
        # Of a row of nothing but numbers. The recorder prints by it, and the summary knows the
        # keys by it, since a string keeps its hash and a tuple does not.
        self.template = template
        # What the record and the summary get; whoever serves the call puts numbers in the place of
        # tensors. wandb gets the values as they came.
        self.unwrapped = values

    def numbers_of(self, values: Dict[str, Any]) -> Dict[str, Any]:
        """Some of its values, as they were at the call: with the numbers of tensors."""
        return values if self.template else {key: self.unwrapped[key] for key in values}

    def mark_empty(self) -> None:
        """Mark a call without values as received, where nothing is left for wandb to do."""
        self.handed = self.received = True
