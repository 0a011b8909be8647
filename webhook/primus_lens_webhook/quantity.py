# SPDX-License-Identifier: Apache-2.0
"""Kubernetes quantities as numbers: `100m`, `1.5`, `256Mi`, `1e3`."""

from __future__ import annotations

import re
from decimal import Decimal

# apimachinery, pkg/api/resource/quantity.go
SHAPE = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+))([numkMGTPE]|[KMGTPE]i|[eE][+-]?\d{1,3})?", re.ASCII)
DECIMAL = {"n": -9, "u": -6, "m": -3, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
BINARY = {"Ki": 10, "Mi": 20, "Gi": 30, "Ti": 40, "Pi": 50, "Ei": 60}
LONGEST = 64


def quantity(value: object) -> Decimal:
    """The number; YAML may hold it as one already. ValueError for what is no quantity."""
    text = str(value) if isinstance(value, str | int | float) else type(value).__name__
    shape = SHAPE.fullmatch(text) if len(text) <= LONGEST else None
    if shape is None or isinstance(value, bool):
        raise ValueError(f"expected a quantity such as 256Mi, not {text[:LONGEST]!r}")
    number, suffix = Decimal(shape[1]), shape[2] or ""
    if suffix in BINARY:
        return number * (1 << BINARY[suffix])
    return number.scaleb(DECIMAL.get(suffix, 0) if suffix in DECIMAL else int(suffix[1:] or 0))
