# SPDX-License-Identifier: Apache-2.0
"""Prints at most one warning per category, on stderr.

All that the hook prints is printed here. It must never use `logging`, nor raise but what a signal
handler does.
"""

import os
import stat
import sys
from typing import Dict, Optional, Tuple

from primus_lens_hook.interruption import is_interruption

# Per process, for good: a training logs millions of rows, and a warning for each of them would
# fill the pod's log and the node's disk.
_said: Dict[str, object] = {}


def _file_of_stderr() -> Optional[Tuple[int, int]]:
    """Device and inode of the regular file that stderr goes to; None of anything else."""
    try:
        status = os.fstat(sys.stderr.fileno())
    except (AttributeError, OSError, ValueError) as error:  # no file, or none that is open
        if is_interruption(error):
            raise
        return None
    return (status.st_dev, status.st_ino) if stat.S_ISREG(status.st_mode) else None


# When the hook was loaded. A training that closes stderr and opens a file finds its file there.
_first_file = _file_of_stderr()


def warn_once(kind: str, text: str) -> None:
    """Write `text` to stderr unless something of this kind has been said before."""
    # In one step, as two threads may get here at once: looked up first and added then, a kind would
    # be printed by both. Before the write: one that fails is not tried again.
    ours = object()
    if _said.setdefault(kind, ours) is not ours:
        return
    # Not logging, which the training may have configured to raise, to mail, or to log to wandb.
    # stderr may be closed, a full pipe, None (pythonw) or an object of a notebook.
    try:
        if _file_of_stderr() in (None, _first_file):
            sys.stderr.write("primus-lens: %s\n" % text.replace("\n", " "))
    except Exception as error:
        if is_interruption(error):
            raise


def describe(error: BaseException) -> str:
    """An exception in a few words. Never raises."""
    # It may be of a user's class, whose __str__ raises: whoever reports the error would raise then.
    try:
        return "%s: %s" % (type(error).__name__, error)
    except Exception as fault:
        if is_interruption(fault):
            raise
        return type(error).__name__
