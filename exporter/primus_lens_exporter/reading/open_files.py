# SPDX-License-Identifier: Apache-2.0
"""How many files all tenants together may hold open: descriptors are one process's.

The bound is soft for each of them: a tenant may hold as many files as are left for the others.
So the first that wants all gets half, the next one half of the rest, and none gets nothing.
"""

from __future__ import annotations

import logging
import threading

from primus_lens_toolkit.warn_once import WarnOnce

from primus_lens_exporter.reading.counts import Counts

LIMIT = "open_files"

log = logging.getLogger(__name__)


class OpenFiles:
    """Shared by whoever reads, in any thread, as the process is.

    Two threads that ask at the same moment may open one file too many; the reserve has room for it.
    """

    def __init__(self, most: int) -> None:
        self._held = 0
        self._lock = threading.Lock()
        self._most = most
        self._warn_once = WarnOnce(log)

    def add(self, files: int) -> None:
        """So many more are held open."""
        with self._lock:  # `+=` reads before it writes: another thread may come in between
            self._held += files

    def may_open(self, held: int, counts: Counts) -> bool:
        """Whether a tenant that holds so many may hold one more; counted where not."""
        if held < self._most - self._held:
            return True
        counts.limited[LIMIT] += 1
        self._warn_once(
            LIMIT,
            "too few file descriptors: some files are not followed; raise the limit of open files "
            "(ulimit -n, LimitNOFILE=)",
            files=self._most,
        )
        return False
