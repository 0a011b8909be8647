# SPDX-License-Identifier: Apache-2.0
"""A record: one log call, or one sample of the system, and the numbers in it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import msgspec
from primus_lens_hook import contract

NON_FINITE = {
    contract.NOT_A_NUMBER: math.nan,
    contract.POSITIVE_INFINITY: math.inf,
    contract.NEGATIVE_INFINITY: -math.inf,
}


# Unix seconds, in the years 1970 to 9999. What lies outside, or is not finite, is no time: it would
# be the oldest or newest of all, and some thousand digits wide wherever times are shown.
Timestamp = Annotated[float, msgspec.Meta(ge=0, lt=253_402_300_800)]


class Record(msgspec.Struct, gc=False):
    """One log call, as `primus_lens_hook.contract` lays it out, or a sample of the system."""

    timestamp: Timestamp
    data: dict[str, Any]
    step: int | float | None = None
    run: str = ""
    sample: bool = False
    late: bool = False
    """It came late, or its step belongs to another counter: the step says nothing of progress."""

    seq: int | None = None
    """Which log call of its run it is, from 1 on; None in files of before, and of a sample."""


def is_sample(record: Record) -> bool:
    """Whether it is no log call. One that has a step is, whatever else it says."""
    return record.sample and record.step is None


def as_float(value: object) -> float | None:
    """The number that a JSON value stands for; None for text, media and null."""
    if isinstance(value, (int, float)):
        try:
            return float(value)
        except OverflowError:  # an int of 400 digits
            return math.inf if value > 0 else -math.inf
    return NON_FINITE.get(value) if isinstance(value, str) else None


def not_finite(data: Mapping[str, Any]) -> Sequence[str]:
    """The keys whose values are NaN or infinite.

    Where all are numbers, which is nearly always, one sum tells: NaN and infinities stay in it.
    """
    try:
        total = sum(data.values(), 0.0)
        if total - total == 0:
            return ()
    except (TypeError, OverflowError):  # a text among them, or an int of 400 digits
        pass
    return [key for key, value in data.items() if _is_not_finite(value)]


def _is_not_finite(value: object) -> bool:
    number = value if type(value) is float else as_float(value)
    return number is not None and not math.isfinite(number)
