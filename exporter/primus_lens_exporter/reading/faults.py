# SPDX-License-Identifier: Apache-2.0
"""Isolates an error of ours: it is counted and logged, and costs nobody else the metrics."""

from __future__ import annotations

import logging
from types import TracebackType

from primus_lens_exporter.reading.counts import Counts

log = logging.getLogger(__name__)


class Isolated:
    """Goes on behind each block, whatever error was raised in it; `path` is named in the log.

    Made once: a generator of `contextlib` would cost more than a short block does.
    """

    __slots__ = ("_counts", "_path")

    def __init__(self, counts: Counts, path: str) -> None:
        self._counts = counts
        self._path = path

    def __enter__(self) -> None:
        pass

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool:
        if not isinstance(error, Exception):
            return False
        self._counts.faults += 1
        log.error("fault", exc_info=error, extra={"path": self._path})
        return True
