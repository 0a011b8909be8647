# SPDX-License-Identifier: Apache-2.0
"""Durations in configuration files, as Prometheus writes them: a number and one unit."""

from __future__ import annotations

import re

UNITS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600}


def seconds(text: str) -> float:
    """The seconds of a duration above zero, such as 30s. Raises ValueError."""
    match = re.fullmatch(r"(\d{1,9})(ms|s|m|h)", text, re.ASCII)
    if not match or int(match[1]) == 0:
        raise ValueError("expected a duration such as 30s")
    return int(match[1]) * UNITS[match[2]]
