# SPDX-License-Identifier: Apache-2.0
"""Isolates an error of ours: it is counted and logged, and costs nobody else the metrics."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator

from primus_lens_exporter.reading.counts import Counts

log = logging.getLogger(__name__)


@contextlib.contextmanager
def isolated(counts: Counts, path: str) -> Iterator[None]:
    """Go on behind the block, whatever error was raised in it."""
    try:
        yield
    except Exception:
        counts.faults += 1
        log.exception("fault", extra={"path": path})
