# SPDX-License-Identifier: Apache-2.0
"""One row of W&B, and which values may share or wait in one.

It must never read a clock, nor touch wandb.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any, Dict, List, Optional, Tuple

from primus_lens_hook.interruption import is_interruption
from primus_lens_hook.step_fix.array_scalars import element
from primus_lens_hook.step_fix.log_call import Delivery, LogCall
from primus_lens_hook.wandb_step import INT64

LONGEST_TEXT = 4096  # characters; a longer string goes to wandb at once, like media
MAX_DEPTH = 8  # of nested dicts that are copied; deeper ones go at once too
PER_VALUE = 100  # bytes that a number and its place in a dict take, roughly

Age = Tuple[int, int, int]
"""Which of two calls is newer: after more rewinds, of the higher training step, the later."""

NEVER: Age = (-1, 0, 0)
"""Of values that no call has brought."""

EMPTY: Any = MappingProxyType({})

_PLAIN = {float, bool, type(None)}


class Row(Delivery):
    """Values that W&B shows as one row.

    A row that wandb has keeps no values here, only what later calls have to know of it.
    """

    # Tables are replaced, never changed: most rows need none, and share the empty one.
    values: Dict[str, Any] = EMPTY
    axes: Mapping[str, Any] = EMPTY
    """The user's axes that the row itself carries."""
    filled_in: Mapping[str, Any] = EMPTY
    """Those that native wandb would add to a late row."""
    ranks: Mapping[str, int] = EMPTY
    """The priority of each key."""
    calls: Mapping[str, LogCall] = EMPTY
    """By key, where duplicates are to be kept."""
    ages: Mapping[str, Age] = EMPTY
    """Of its values, by key."""
    unbound: Mapping[Tuple[str, ...], Tuple[str, ...]] = EMPTY
    """Dotted keys, by the keys of a call, that are bound to patterns when the row closes."""
    late_keys: Mapping[str, Any] = EMPTY
    """Of late values that have joined it."""
    late = False
    """Whether native wandb has no such row."""
    closed = False
    """Whether native wandb would let nothing join it any more."""
    committed = False
    """Whether a call has ended it, rather than the next step."""
    since = 0.0
    """Monotonic seconds; when it began to wait."""
    timestamp = 0.0
    """Unix seconds of the newest call in it."""

    def __init__(self, step: int, training_step: Optional[int], latest: Mapping[str, Any]) -> None:
        self.step = step  # the step of the row in native wandb
        self.at = step  # its step in wandb as it is
        self.training_step = training_step
        self.latest = latest  # the user's axes in the rows before it

    def note(self, keys: Iterable[str], call: LogCall, keep: bool) -> None:
        """Remember which keys a call has put into the row, and the call if it is to be kept."""
        self.ranks = {**self.ranks, **dict.fromkeys(keys, call.priority)}
        if keep:
            self.calls = {**self.calls, **dict.fromkeys(keys, call)}

    def accepted(self, values: Dict[str, Any], priority: int) -> Dict[str, Any]:
        """What of `values` may join this row.

        Of two values for one key the one of the stronger priority (the lower number) stays.
        """
        # Equal priorities: the later value stays, as in wandb.
        return {k: v for k, v in values.items() if self.ranks.get(k, priority) >= priority}

    def repeated(self, values: Mapping[str, Any], priority: int) -> List[str]:
        """The keys that have a value of the same priority here already."""
        return [key for key in values if self.ranks.get(key) == priority]


def weight(values: Mapping[str, Any]) -> int:
    """Bytes that these values take, roughly."""
    # Not sys.getsizeof, which counts a dict without what is in it.
    size = PER_VALUE * len(values)
    for value in values.values():
        if type(value) in (str, list):
            size += len(value)
        elif type(value) is dict:
            size += weight(value)
    return size


def copied(values: Mapping[str, Any], depth: int = 0) -> Optional[Dict[str, Any]]:
    """The values as they are now, to be sent later; None when some cannot wait."""
    # What waits must be something that wandb never refuses: its exceptions belong into the call
    # that caused them, and one value that it refuses later would cost the whole row. Media,
    # arrays, lists and unknown objects (a Mock, which wandb accepts) therefore cannot wait.
    copy = {}
    for key, value in values.items():
        kept = plain(value, depth)
        if (kept is None and value is not None) or not can_encode(key):
            return None
        # wandb prints the keys of nested dicts; one whose class does so by itself may raise.
        if depth and type(key).__str__ is not str.__str__:
            return None
        copy[key] = kept
    return copy


def plain(value: Any, depth: int = 0) -> Any:
    """A value that nobody can change any more and that wandb stores; None for all others."""
    kind = type(value)
    try:
        if kind in _PLAIN:
            return value
    except Exception as error:  # a class of a class may raise for its hash
        if is_interruption(error):
            raise
        return None
    if kind is int:
        # wandb encodes integers of more than 64 bits in another way, or refuses them.
        return value if -INT64 <= value < INT64 else None
    if kind is str:
        return value if len(value) <= LONGEST_TEXT and can_encode(value) else None
    if kind is dict:
        return copied(value, depth + 1) if depth < MAX_DEPTH else None
    number = element(value)
    return None if number is value else plain(number, MAX_DEPTH)


def can_encode(text: Any) -> bool:
    """Whether it is a text that protobuf takes: a lone surrogate (`os.fsdecode`) has no UTF-8."""
    if not issubclass(type(text), str):  # a nested dict may have numbers as keys
        return False
    if str.isascii(text):
        return True
    try:
        str.encode(text)
    except UnicodeEncodeError:
        return False
    return True
