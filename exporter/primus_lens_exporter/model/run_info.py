# SPDX-License-Identifier: Apache-2.0
"""What is known of a run besides its records."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple


class RunInfo(NamedTuple):
    """One run, as the processes of a rank know it."""

    labels: Mapping[str, str]
    """Of `run_info`, without the empty ones."""

    step_fix: Mapping[str, int]
    """The step fix's counters by name, of all processes together; empty when it is off."""

    finish: float | None = None
    """Unix seconds at which a process of the rank, the last one to do so, finished it."""

    start: float = -math.inf
    """Unix seconds at which a process of the rank, the last one to do so, began with it."""

    over: bool = False
    """Whether each process of the rank that has logged to it has finished it, or has ended."""
