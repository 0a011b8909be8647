# SPDX-License-Identifier: Apache-2.0
"""When malloc gives freed memory back to the kernel.

glibc can be told (mallopt(3), malloc_trim(3)); where it is another C library, as musl, nothing
happens.
"""

from __future__ import annotations

import ctypes

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # malloc.h


def set_thresholds(size: int) -> None:
    """Give freed pieces of so many bytes and more back at once, and keep smaller ones.

    Without it glibc keeps ever larger ones, up to 32 MiB, once pieces of that size were freed.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(M_MMAP_THRESHOLD, size)
        mallopt(M_TRIM_THRESHOLD, size)


def trim() -> None:
    """Give back all that is free now, also what lies between pieces in use."""
    malloc_trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if malloc_trim is not None:
        malloc_trim(0)
