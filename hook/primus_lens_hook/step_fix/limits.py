# SPDX-License-Identifier: Apache-2.0
"""How much may wait, and for how long."""

from __future__ import annotations

from typing import NamedTuple


class Limits(NamedTuple):
    """Bounds of the rows that wait, per run."""

    buffer_size: int = 100
    """Rows in the reorder window, and late rows."""

    flush_interval: float = 2.0
    """Seconds that a row may wait."""

    keep_duplicates: bool = False
    """Whether a key that is logged again at its step gets a row of its own."""

    bytes: int = 8 * 1024 * 1024
    """Of all waiting rows together, roughly."""
