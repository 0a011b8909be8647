# SPDX-License-Identifier: Apache-2.0
"""Finds the fewest lines of a life that still differ in the same way."""

import time

from support.hostile_hook.compare import compare

SECONDS = 40  # after which nothing more is tried
TIMES = 2  # a candidate that holds by chance is tried again


def shrunk(worker, life, difference):
    """(numbers of the lines that are left, what they break); None where nothing breaks again."""
    ends = time.monotonic() + SECONDS
    kept = list(range(len(life.lines)))
    broken = breaks(worker, life, difference)
    size = len(kept) // 2
    while broken and size and time.monotonic() < ends:
        for first in range(0, len(kept), size):
            fewer = kept[:first] + kept[first + size :]
            found = breaks(worker, life.only(fewer), difference) if fewer else []
            if found:
                kept, broken = fewer, found
                break
        else:
            size //= 2
    return (kept, broken) if broken else None


def breaks(worker, life, difference):
    for _ in range(TIMES):
        found = [each for each in compare(*worker.both(life)) if each[:2] == difference[:2]]
        if found:
            return found
    return []
