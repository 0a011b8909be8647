# SPDX-License-Identifier: Apache-2.0
"""How far reading is behind, for each pod."""

from __future__ import annotations

from primus_lens_exporter.model.labels import Labels, label_text
from primus_lens_exporter.series.family import Family


class Lag:
    """Two series for each pod (or plain directory), while it is there."""

    def __init__(self) -> None:
        prefix = "primus_lens_exporter_lag_"
        self._bytes = Family(prefix + "bytes", "gauge", "Bytes that wait to be read.")
        self._seconds = Family(
            prefix + "seconds", "gauge", "Age of the newest record read, while more wait."
        )
        self._slots: dict[Labels, tuple[int, int]] = {}
        self.most = 0, 0.0
        """Bytes of all together, and seconds of the one that is furthest behind."""

    def update(self, behind: dict[Labels, tuple[int, float]]) -> None:
        """Replace everything: bytes and seconds, by who is behind."""
        sizes, ages = zip(*behind.values(), strict=True) if behind else ((), ())
        self.most = sum(sizes), max(ages, default=0.0)
        for who in self._slots.keys() - behind.keys():
            slots = self._slots.pop(who)
            self._bytes.remove(slots[0])
            self._seconds.remove(slots[1])
        for who, (size, seconds) in behind.items():
            if who not in self._slots:
                self._slots[who] = self._add(self._bytes, who), self._add(self._seconds, who)
            slots = self._slots[who]
            self._bytes.values[slots[0]] = size
            self._seconds.values[slots[1]] = seconds

    def render(self) -> bytes:
        """The text format."""
        return b"".join([*self._bytes.parts(), *self._seconds.parts()])

    def _add(self, family: Family, who: Labels) -> int:
        return family.add(family.prefix(label_text(who)))
