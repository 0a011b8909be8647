# SPDX-License-Identifier: Apache-2.0
"""The ways in which a process ends."""

import atexit
import faulthandler
import os
import signal
import sys

from support.hostile_hook.actions.rows import last_row, row

__all__ = ["at_exit", "leave", "when_uncaught"]

# Without the interpreter's own end: no atexit handler runs.
ABRUPT = ("os._exit", "kill", "terminate", "abort", "segfault")


def leave(how):
    """End the process; "return" goes on to the end of the program."""
    if how == "raise":
        raise RuntimeError("the training has failed")
    if how == "SystemExit 3":
        sys.exit(3)
    if how == "SystemExit text":
        sys.exit("no GPU")
    if how == "KeyboardInterrupt":
        os.kill(os.getpid(), signal.SIGINT)
    if how == "os._exit":
        os._exit(4)
    if how == "abort":
        os.abort()
    if how == "segfault":
        faulthandler.enable()
        os.kill(os.getpid(), signal.SIGSEGV)
    if how in ("kill", "terminate"):
        os.kill(os.getpid(), signal.SIGKILL if how == "kill" else signal.SIGTERM)


def at_exit():
    """Log when the interpreter ends: before wandb's own handlers, or after them."""
    atexit.register(last_row)


def when_uncaught():
    """Log what nobody has caught."""

    def hook(kind, error, traceback):
        row({"uncaught": kind.__name__})
        sys.__excepthook__(kind, error, traceback)

    sys.excepthook = hook
