# SPDX-License-Identifier: Apache-2.0
"""One metric family as text that is ready but for the numbers.

A page is made by one call that prints all numbers and one that joins, whatever the count
of series. What many series share (the identity of a run, the name of a key) is one object
in memory. Pure: no files, no clock.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import orjson

PIECES = 3  # of a series: what its run shares, what is its own, the number


def label_text(labels: Iterable[tuple[str, str]]) -> str:
    """`name="value",…` as the text format escapes it (Prometheus exposition formats)."""
    return ",".join(f'{name}="{_escape(value)}"' for name, value in labels)


def _escape(value: str) -> str:
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


def encoded(text: str) -> bytes:
    """As UTF-8. Lone surrogates are legal in JSON strings and nowhere else."""
    return text.encode("utf-8", "replace")


class Family:
    """One metric family. `values[slot]` is the number of the series `add` returned."""

    def __init__(self, name: str, kind: str, help: str) -> None:
        self.name = name
        self.values: list[float] = []
        self._head = f"# HELP {name} {help}\n# TYPE {name} {kind}".encode()
        self._pieces: list[bytes] = []
        self._free: list[int] = []

    def __len__(self) -> int:
        return len(self.values) - len(self._free)

    def prefix(self, labels: str) -> bytes:
        """What all series that begin with these labels (see `label_text`) have in common."""
        return encoded(f"\n{self.name}{{{labels}")

    def add(self, prefix: bytes, suffix: bytes = b"} ", value: float = 0.0) -> int:
        """A new series; returns its slot. Shared objects cost nothing."""
        if self._free:
            slot = self._free.pop()
            self.values[slot] = value
            self._pieces[PIECES * slot : PIECES * slot + 2] = prefix, suffix
            return slot
        self.values.append(value)
        self._pieces += (prefix, suffix, b"")
        return len(self.values) - 1

    def remove(self, slot: int) -> None:
        """End a series; its slot will be another's."""
        self._pieces[PIECES * slot : PIECES * slot + 2] = b"", b""
        self._free.append(slot)

    def pieces(self) -> list[bytes]:
        """The family in the text format, to be joined; nothing while it has no series."""
        if not len(self):
            return []
        printed = orjson.dumps(self.values)
        numbers = printed.split(b",")
        numbers[0] = numbers[0][1:]  # the brackets of the JSON array
        numbers[-1] = numbers[-1][:-1]
        if b"null" in printed:  # JSON has no word for them
            _name_non_finite(numbers, self.values)
        for slot in self._free:
            numbers[slot] = b""
        pieces = self._pieces.copy()  # the numbers would cost as much as all the rest
        pieces[PIECES - 1 :: PIECES] = numbers
        return [self._head, *pieces, b"\n"]


def _name_non_finite(numbers: list[bytes], values: list[float]) -> None:
    for slot, number in enumerate(numbers):
        if number == b"null":
            value = values[slot]
            numbers[slot] = b"NaN" if math.isnan(value) else b"+Inf" if value > 0 else b"-Inf"
