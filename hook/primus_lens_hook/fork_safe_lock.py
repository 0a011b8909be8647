# SPDX-License-Identifier: Apache-2.0
"""Locks that neither a fork nor an exception leaves taken.

A thread that finds one taken by nobody waits for ever, and the training with it. A lock must never
be a context manager in Python: a handler that raises at the end of its `__enter__` would leave it
taken. The interpreter's own has no such moment, but `with` has.
"""

from __future__ import annotations

import functools
import os
import sys
import threading
from types import FrameType
from typing import Any, Callable, TypeVar, cast

Answer = TypeVar("Answer")
Method = TypeVar("Method", bound=Callable[..., Any])

_HERE = os.path.dirname((lambda: 0).__code__.co_filename)


class ForkSafeLock:
    """A lock that is renewed in a forked child, where a thread of the parent would hold it."""

    def __init__(self) -> None:
        self._renew()
        if hasattr(os, "register_at_fork"):  # not on Windows
            os.register_at_fork(after_in_child=self._renew)

    def _renew(self) -> None:
        # Re-entrant: a signal handler may log within a call of its own thread.
        self.lock = threading.RLock()

    def within(self, act: Callable[..., Answer], *args: Any) -> Answer:
        """What `act` returns, called while this thread holds the lock."""
        return within(self.lock, act, *args)


def within(lock: Any, act: Callable[..., Answer], *args: Any, **kwargs: Any) -> Answer:
    """What `act` returns, called while this thread holds the RLock."""
    try:
        with lock:
            return act(*args, **kwargs)
    except BaseException:
        let_go(lock)
        raise


def holding(name: str) -> Callable[[Method], Method]:
    """Decorates a method that holds the RLock of this name of its object."""

    def decorate(method: Method) -> Method:
        @functools.wraps(method)
        def held(self: Any, *args: Any, **kwargs: Any) -> Any:
            # No variable for the lock: `let_go` takes a caller that has one for one that holds it.
            return within(getattr(self, name), method, self, *args, **kwargs)

        return cast(Method, held)

    return decorate


def let_go(lock: Any) -> bool:
    """Release an RLock where what is being raised has kept `with` from doing so.

    Whether this thread is within no other block of the lock, such as the one that a signal handler
    has come into the middle of.

    For functions with the lock in a local variable, around their `with`; it costs nothing before.
    """
    # Python 3.14 runs signal handlers between __enter__ and the block, those up to 3.9 between the
    # block and __exit__, and from 3.8 on tracing functions are called there: what they raise leaves
    # the lock taken. Of exceptions of a SIGALRM handler within such blocks 40 % did on 3.14.
    frame = sys._getframe(1).f_back  # noqa: SLF001 of whoever has called the caller
    while frame is not None:
        if _may_hold(frame, lock):
            return False  # it goes on, or gets here too
        frame = frame.f_back
    while lock._is_owned():  # noqa: SLF001 Condition asks too
        lock.release()
    return True


def _may_hold(frame: FrameType, lock: Any) -> bool:
    is_ours = frame.f_code.co_filename.startswith(_HERE)
    return is_ours and any(each is lock for each in frame.f_locals.values())
