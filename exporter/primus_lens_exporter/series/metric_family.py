# SPDX-License-Identifier: Apache-2.0
"""One metric family as text that is ready but for the numbers.

A part of a page is made by one call that prints its numbers and one that joins, however
many series it has. What many series share (the identity of a run, the name of a key) is one object
in memory. Pure: no files, no clock.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import orjson

from primus_lens_exporter.model.labels import encoded

# Of a part of the page. A page of many megabytes in one piece comes from fresh memory each
# time, and half of a scrape would be page faults; a small one stays in the processor's cache.
PART_SERIES = 5_000
PIECES = 3  # of a series: what its run shares, what is its own, the number


class MetricFamily:
    """One metric family. `values[slot]` is the number of the series `add` returned."""

    def __init__(self, name: str, kind: str, help: str) -> None:
        self.name = name
        self.values: list[float] = []
        self._head = f"# HELP {name} {help}\n# TYPE {name} {kind}".encode()
        self._pieces: list[bytes] = []
        self._free: list[int] = []
        self._hidden: dict[int, tuple[bytes, bytes]] = {}
        """Slots of series that are not on the page, and their text."""

    def __len__(self) -> int:
        return len(self.values) - len(self._free) - len(self._hidden)

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

    def hide(self, slot: int) -> None:
        """Leave a series out of the page, until `show`."""
        start = PIECES * slot
        prefix, suffix = self._pieces[start : start + 2]
        self._hidden[slot] = prefix, suffix
        self._pieces[start : start + 2] = b"", b""

    def show(self, slot: int) -> None:
        """Have a hidden series on the page."""
        self._pieces[PIECES * slot : PIECES * slot + 2] = self._hidden.pop(slot)

    def remove(self, slot: int) -> None:
        """End a series; its slot will be another's."""
        self._hidden.pop(slot, None)
        self._pieces[PIECES * slot : PIECES * slot + 2] = b"", b""
        self._free.append(slot)

    def parts(self) -> Iterator[bytes]:
        """The family in the text format, piece by piece; nothing while it has no series."""
        if not len(self):
            return
        yield self._head
        empty = {*self._free, *self._hidden}
        for start in range(0, len(self.values), PART_SERIES):
            yield self._part(start, empty)
        yield b"\n"

    def _part(self, start: int, empty: set[int]) -> bytes:
        values = self.values[start : start + PART_SERIES]
        printed = orjson.dumps(values)
        numbers = printed.split(b",")
        numbers[0] = numbers[0][1:]  # the brackets of the JSON array
        numbers[-1] = numbers[-1][:-1]
        if b"null" in printed:  # JSON has no word for them
            _name_non_finite(numbers, values)
        if empty:
            for slot in empty.intersection(range(start, start + len(values))):
                numbers[slot - start] = b""
        pieces = self._pieces[PIECES * start : PIECES * (start + PART_SERIES)]
        pieces[PIECES - 1 :: PIECES] = numbers
        return b"".join(pieces)


def _name_non_finite(numbers: list[bytes], values: list[float]) -> None:
    for slot, number in enumerate(numbers):
        if number == b"null":
            value = values[slot]
            numbers[slot] = b"NaN" if math.isnan(value) else b"+Inf" if value > 0 else b"-Inf"
