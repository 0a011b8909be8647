# SPDX-License-Identifier: Apache-2.0
"""Tells an exception of a signal handler from one of the code that it interrupted.

Python runs signal handlers between any two bytecodes of the main thread, ours included. What
a handler raises (a `Preempted`, a timeout) is meant for the training: a fence that takes it
for a fault of ours would swallow it.
"""

from __future__ import annotations

import signal
from typing import Any, Iterator


def from_signal_handler(error: BaseException) -> bool:
    """Whether the exception came out of a handler that is installed now."""
    codes = set(map(_code, map(signal.getsignal, _numbers())))
    traceback = error.__traceback__
    while traceback is not None:
        if traceback.tb_frame.f_code in codes:
            return True
        traceback = traceback.tb_next
    return False


def _numbers() -> Iterator[int]:
    return (int(number) for number in signal.Signals)


def _code(handler: Any) -> Any:
    """The code of a function, a method, a partial or a callable object."""
    handler = getattr(handler, "func", handler)
    if not hasattr(handler, "__code__"):
        handler = getattr(type(handler), "__call__", handler)  # noqa: B004 its code is wanted
    return getattr(handler, "__code__", handler)
