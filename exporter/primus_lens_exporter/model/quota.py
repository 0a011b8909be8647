# SPDX-License-Identifier: Apache-2.0
"""Quotas: how much of something a pod may use, within what the whole node may."""

from __future__ import annotations


class Quota:
    """A bound that others below share. `reason` names it in metrics and warnings."""

    __slots__ = ("_above", "_limit", "reason", "used")

    def __init__(self, limit: int, reason: str, above: Quota | None = None) -> None:
        self.used = 0
        self.reason = reason
        self._limit = limit
        self._above = above

    def take(self, count: int = 1) -> str | None:
        """Use `count` of it; where a bound is reached, use nothing and return its reason."""
        if self.used + count > self._limit:
            return self.reason
        if self._above is not None and (reason := self._above.take(count)):
            return reason
        self.used += count
        return None

    def give_back(self, count: int) -> None:
        """Return what was taken."""
        self.used -= count
        if self._above is not None:
            self._above.give_back(count)
