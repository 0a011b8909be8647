# SPDX-License-Identifier: Apache-2.0
"""How often each key of one run had a value that was NaN or infinite.

Only keys that had one have a series, and only records since the exporter's start are counted: see
`Families`. It must cost next to nothing where all values are finite.
"""

from __future__ import annotations

from collections.abc import Callable, Container

from primus_lens_exporter.model.record import Record, not_finite
from primus_lens_exporter.series.families import Families
from primus_lens_exporter.series.metric_family import MetricFamily

NO_SLOT = -1

New = Callable[[MetricFamily, bytes, bytes], int]
"""Makes a series of a family, of the text before and behind its key; NO_SLOT for no room."""


class NotFinite:
    """Of one run."""

    __slots__ = ("_families", "_labels", "_slots")

    def __init__(self, families: Families, labels: str) -> None:
        self._families = families
        self._labels = labels
        self._slots: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._slots)

    def take(self, records: list[Record], keys: Container[str], new: New) -> None:
        """Count in records of the run. No key is counted that is not among `keys`."""
        since, values = self._families.since, self._families.not_finite.values
        for record in records:
            for key in not_finite(record.data) if record.timestamp > since else ():
                slot = self._slots.get(key, NO_SLOT)
                if slot == NO_SLOT and key in keys:
                    slot = self._begin(key, new)
                if slot != NO_SLOT:
                    values[slot] += 1

    def leave_out(self, key: str) -> bool:
        """End the series of a key; returns whether there was one."""
        slot = self._slots.pop(key, None)
        if slot is None:
            return False
        self._families.not_finite.remove(slot)
        self._families.key_cache.give_back(key)
        return True

    def show(self) -> None:
        """Have all series on the page from now on."""
        for slot in self._slots.values():
            self._families.not_finite.show(slot)

    def remove(self) -> None:
        """End all series."""
        for key in list(self._slots):
            self.leave_out(key)

    def _begin(self, key: str, new: New) -> int:
        key, suffix = self._families.key_cache.take(key)
        family = self._families.not_finite
        slot = new(family, family.prefix(self._labels), suffix)
        if slot == NO_SLOT:
            self._families.key_cache.give_back(key)
        else:
            self._slots[key] = slot
        return slot
