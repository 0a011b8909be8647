# SPDX-License-Identifier: Apache-2.0
"""A lock that is renewed in a forked child, where a thread of the parent would hold it for ever.

It must never be a context manager itself: a signal handler that raises at the end of an `__enter__`
in Python would leave the lock taken. The interpreter's own lock has no such moment.
"""

from __future__ import annotations

import os
import threading


class ForkSafeLock:
    """`with it.lock:` in any thread, signal handler or child."""

    def __init__(self) -> None:
        self._renew()
        if hasattr(os, "register_at_fork"):  # not on Windows
            os.register_at_fork(after_in_child=self._renew)

    def _renew(self) -> None:
        # Re-entrant: a signal handler may log within a call of its own thread.
        self.lock = threading.RLock()
