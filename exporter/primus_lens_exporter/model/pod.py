# SPDX-License-Identifier: Apache-2.0
"""A pod, as far as its series tell of it. How the API writes it is not known here."""

from __future__ import annotations

from typing import NamedTuple

INJECTED, SKIPPED, MISSED = STATES = ("injected", "skipped", "expected_not_injected")


class Pod(NamedTuple):
    """One pod of the cluster."""

    uid: str
    namespace: str
    name: str

    node: str
    """Empty while it is not scheduled."""

    containers: tuple[str, ...]
    """All of them, init containers first."""

    container: str
    """The one that trains."""

    workload: str
    workload_kind: str

    labels: tuple[tuple[str, str], ...]
    """Those that are allowed, under their names in a series."""

    injection: str
    """INJECTED or SKIPPED, as the webhook said; MISSED if it asked and nobody answered."""

    running: float
    """Since when its `container` has run, in Unix seconds; 0 while it does not."""
