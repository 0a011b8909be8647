# SPDX-License-Identifier: Apache-2.0
"""The hook's only voice: one line on stderr for each kind of trouble, then silence.

It must never raise: stderr may be closed, full, or absent. It does not use logging,
which the training may have configured to raise, to mail, or to log to wandb.
"""

import sys
from typing import Set

_said: Set[str] = set()


def warn_once(kind: str, text: str) -> None:
    """Write `text` to stderr unless something of this kind has been said before."""
    if kind in _said:
        return
    _said.add(kind)
    try:
        sys.stderr.write("primus-lens: %s\n" % text)
    except Exception:
        return


def describe(error: BaseException) -> str:
    """An exception in a few words; it may come from a user's object, and not even print."""
    try:
        return "%s: %s" % (type(error).__name__, error)
    except Exception:
        return type(error).__name__
