# SPDX-License-Identifier: Apache-2.0
"""Which content coding a client takes (RFC 9110, section 12.5.3).

A request's header bounds the work: servers of ours take 8 kB at most.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

VARY = {"Vary": "Accept-Encoding"}
"""Belongs to each response whose coding was chosen, compressed or not: caches go by it."""

# weight = OWS ";" OWS "q=" qvalue
ELEMENT = re.compile(
    r"[ \t]*(?P<coding>[!#$%&'*+.^_`|~0-9A-Za-z-]+)[ \t]*"
    r"(;[ \t]*[qQ]=(?P<weight>0(\.\d{0,3})?|1(\.0{0,3})?)[ \t]*)?"
)


def takes_gzip(headers: Iterable[str]) -> bool:
    """Whether gzip is acceptable, and the client likes no coding at all no better.

    `headers` are the values of each `Accept-Encoding`; without any, nothing is compressed. A
    part of one that is malformed counts as absent.
    """
    weights: dict[str, float] = {}
    for match in map(ELEMENT.fullmatch, ",".join(headers).split(",")):
        if match:
            weights[match["coding"].lower()] = float(match["weight"] or 1)
    others = weights.get("*", 0.0)
    gzip = weights.get("gzip", weights.get("x-gzip", others))
    return gzip > 0 and gzip >= weights.get("identity", 0.0)
