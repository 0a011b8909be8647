# SPDX-License-Identifier: Apache-2.0
"""Cooperative scheduling: long work on the event loop, in slices that no scrape waits for."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator

SLICE_SECONDS = 0.002  # the longest that a scrape waits for us


async def in_slices(work: Iterator[None]) -> None:
    """Run a generator, letting the event loop in between."""
    until = time.perf_counter() + SLICE_SECONDS
    for _ in work:
        if time.perf_counter() >= until:
            await asyncio.sleep(0)
            until = time.perf_counter() + SLICE_SECONDS
