# SPDX-License-Identifier: Apache-2.0
"""File descriptors: how many the process may have, and for what.

A server that runs out of them can accept no connection. So what is bounded by a setting of ours
gets a part below the system's limit, and the rest of the process keeps a reserve.
"""

from __future__ import annotations

import logging
import resource
from pathlib import Path
from typing import NamedTuple

from primus_lens_toolkit.errors import CannotStart

RESERVE = 64
"""For all that is in no part: the event loop, logs, clients, what is open for a moment."""

LEAST = 16
"""Connections and files, for which nobody would start a server."""

OPEN = Path("/proc/self/fd")
SPARE = 2  # what a request needs: its connection, and a file of /proc

log = logging.getLogger(__name__)


class TooFewDescriptors(CannotStart):
    """The text says how many there must be."""


class Parts(NamedTuple):
    """How many descriptors each may use."""

    connections: int
    files: int


def parts(connections: int) -> Parts:
    """Raise the limit as far as it goes; what is not needed for connections is for files.

    So many connections are wanted; they get half of what there is at most. Raises
    TooFewDescriptors.
    """
    free = _raised_limit() - RESERVE
    if free < LEAST:
        raise TooFewDescriptors(
            f"the limit of open files is {free + RESERVE}; raise it to {RESERVE + LEAST} at "
            "least (ulimit -n, LimitNOFILE=)"
        )
    given = min(connections, free // 2)
    if given < connections:
        log.warning(
            "fewer connections: the limit of open files is low; raise it (ulimit -n, LimitNOFILE=)",
            extra={"wanted": connections, "given": given},
        )
    return Parts(given, free - given)


def open_now() -> int:
    """How many are open. From Linux 6.2 on, the directory's size (proc(5)). Raises OSError."""
    return OPEN.stat().st_size or sum(1 for _ in OPEN.iterdir())


def exhausted() -> bool:
    """Whether so few are left that the next connection may fail."""
    try:
        return open_now() > resource.getrlimit(resource.RLIMIT_NOFILE)[0] - SPARE
    except OSError:  # none to look with
        return True


def _raised_limit() -> int:
    """The soft limit, often 1024, raised to the hard one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    log.debug("file limit", extra={"before": soft, "after": hard})
    return hard
