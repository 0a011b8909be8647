# SPDX-License-Identifier: Apache-2.0
"""A directory that is listed again only when something in it has come, gone or moved."""

from __future__ import annotations

import os
import time

SETTLED_SECONDS = 2.0  # coarser than any file system's clock


class Listing:
    """Remembers the modification time at which a directory was listed."""

    __slots__ = ("_seen", "path")

    def __init__(self, path: str) -> None:
        self.path = path
        self._seen: int | None = None

    def changed(self) -> list[os.DirEntry[str]] | None:
        """All entries if they may differ from those of the last call, else None.

        Raises OSError.
        """
        status = os.stat(self.path)
        if status.st_mtime_ns == self._seen:
            return None
        # Two changes within a tick of the clock look like one: only an old time is trusted.
        settled = time.time() - status.st_mtime > SETTLED_SECONDS
        self._seen = status.st_mtime_ns if settled else None
        with os.scandir(self.path) as entries:
            return list(entries)
