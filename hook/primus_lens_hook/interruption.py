# SPDX-License-Identifier: Apache-2.0
"""Tells who has raised an exception: the training, one of its values, or the hook itself.

What a signal handler, a tracing function or another thread raises (a `Preempted`, a timeout) is
meant for the training. The hook must never take it for an error, of its own or of a value.
"""

# Python runs signal handlers between any two bytecodes of the main thread, ours included, and
# what they raise comes out of whatever line was interrupted. Before this module, 59 of 800
# exceptions of a SIGALRM handler were taken for internal errors, and the hook stayed off.
# Often it is a TimeoutError, an OSError: each `except` of a built-in class has to ask here too.

from __future__ import annotations

import contextlib
import os
import sys
import threading
from types import FrameType, TracebackType
from typing import Any, Iterator, Type

CO_OPTIMIZED = 1  # a function compiled by Python; not the made-up frames of Cython
# What tracebacks call our files: not __file__, which byte code from an image need not agree with.
_HERE = os.path.dirname((lambda: 0).__code__.co_filename)
_LIBRARY = os.path.dirname(os.__file__)
_PACKAGES = ("site-packages", "dist-packages")  # below the library, and no part of it


def is_interruption(error: BaseException) -> bool:
    """Whether it has nothing to do with the code that it came out of, and is the training's."""
    if isinstance(error, RecursionError):
        # To catch it and go on aborts Python up to 3.9, where the stack is still full. On newer
        # ones what is left of the stack may do for wandb alone.
        return sys.version_info < (3, 10) and not _is_of_the_users(error)
    outer = error.__traceback__
    while outer is not None:
        inner = outer.tb_next
        if inner is None:
            return _is_from_another_thread(error, outer)
        if _is_given(inner.tb_frame, outer.tb_frame):
            return True
        outer = inner
    return False


def is_ours(error: BaseException) -> bool:
    """Whether the hook, wandb or the standard library is at fault, and no code of the user's."""
    # A value's method, its class, a key. It costs that value or call alone, never the hook.
    return not isinstance(error, (MemoryError, RecursionError)) and not _is_of_the_users(error)


def _is_of_the_users(error: BaseException) -> bool:
    """Whether any code took part in it but ours, wandb's and the standard library's."""
    wandb = os.path.dirname(getattr(sys.modules.get("wandb"), "__file__", None) or _HERE)
    traceback = error.__traceback__
    while traceback is not None:
        name = traceback.tb_frame.f_code.co_filename
        is_library = name.startswith(_LIBRARY) and not any(part in name for part in _PACKAGES)
        if not (is_library or name.startswith((_HERE, wandb, "<frozen "))):
            return True
        traceback = traceback.tb_next
    return False


@contextlib.contextmanager
def suppress(*kinds: Type[Exception]) -> Iterator[None]:
    """`contextlib.suppress`, but for interruptions."""
    try:
        yield
    except kinds as error:
        if is_interruption(error):
            raise


def start(thread: threading.Thread) -> None:
    """Start a thread; raises what a signal handler raises meanwhile."""
    try:
        thread.start()
    except KeyError as error:
        # Thread.start() takes each error for a thread that has not begun: it removes from a table
        # what the thread itself has removed, and that error hides the handler's.
        raise error.__context__ or error from None


def _is_given(frame: FrameType, outer: FrameType) -> bool:
    """Whether a function has the frame that called it, or its code, among its arguments."""
    # The interpreter passes them to what it calls by itself: the frame to signal handlers and
    # tracing functions, the code to callbacks of sys.monitoring. Nobody else does. A handler that
    # is a method, a partial, decorated or no longer installed is seen too.
    # Its caller is not always before it in the traceback: imports take their own frames out of it.
    callers = [outer] if frame.f_back in (None, outer) else [outer, frame.f_back]
    given = [each for caller in callers for each in (caller, caller.f_code)]
    for value in frame.f_locals.values():
        for each in value if type(value) is tuple else (value,):
            if any(each is one for one in given):
                return True
    return False


def _is_from_another_thread(error: BaseException, innermost: TracebackType) -> bool:
    """Whether PyThreadState_SetAsyncExc has raised it, as libraries for time limits do."""
    # That makes an exception without arguments at an instruction that is no `raise`. C code gives
    # a reason with what it raises, but for these.
    if error.args or isinstance(error, (MemoryError, StopIteration)):
        return False
    code = innermost.tb_frame.f_code
    if not code.co_flags & CO_OPTIMIZED:
        return False
    import opcode  # now, since its numbers are hardly ever needed

    number: Any = code.co_code[innermost.tb_lasti]
    return bool(opcode.opname[number] != "RAISE_VARARGS")
