# SPDX-License-Identifier: Apache-2.0
"""One way in which one run, or the exporter itself, broke a promise."""

from typing import NamedTuple


class Finding(NamedTuple):
    promise: str
    """The module's name and what is wrong: "sent: lost"."""

    about: str
    """The run and its rank, or a program."""

    kind: str
    """The act; "" where it is about no run."""

    count: int
    """How many samples, scrapes or answers."""

    example: str
    at: float
    """Unix seconds of the first one; 0 where it has no time."""


def about(promise, who, found):
    """The findings of one run: `found` are (what, example, seconds), put together by `what`."""
    kinds = {}
    for what, example, at in found:
        kinds.setdefault(what, []).append((at, example))
    name = f"{who.run_id} ({who.node_rank}/{who.local_rank})"
    return [
        Finding(f"{promise}: {what}", name, who.kind, len(each), each[0][1], each[0][0])
        for what, each in kinds.items()
    ]
