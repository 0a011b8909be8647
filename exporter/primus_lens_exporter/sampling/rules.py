# SPDX-License-Identifier: Apache-2.0
"""Which rule a key has: the first whose patterns match it. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from primus_lens_hook import contract

from primus_lens_exporter.model.key_rules import Pattern
from primus_lens_exporter.model.series_rules import SeriesRules

ALL, FIRST, AGGREGATE = RANKS = ("all", "first", "aggregate")
# Why a value was left out: the words of the file.
BY_EVERY, BY_TIME, BY_RANKS = REASONS = ("every", "at_most_once_per", "ranks")

CACHED_KEYS = 10_000


class Rule(NamedTuple):
    """What is left out of the keys that match."""

    patterns: tuple[Pattern, ...]
    every: int | None = None
    seconds: float | None = None
    ranks: str = ALL

    @property
    def thins(self) -> bool:
        """Whether values of one rank are left out."""
        return self.every is not None or self.seconds is not None

    @property
    def reason(self) -> str:
        """Why values of one rank are left out."""
        return BY_TIME if self.every is None else BY_EVERY

    def window(self, number: int, at: float) -> int:
        """The window of which one value is kept; `number` is the record's, from 1 on."""
        if self.every is not None:
            return (number - 1) // self.every
        return math.floor(at / (self.seconds or 1.0))


def is_same(window: int, kept: int) -> bool:
    """Whether a value of this window is left out, since one was kept of that window."""
    # A little older: threads overtake each other. Much older: the clock was set back.
    return window - kept in (0, -1)


class Rules:
    """The rules of a file; a key that becomes no series anyway has none."""

    def __init__(self, rules: Sequence[Rule], keys: SeriesRules) -> None:
        self._rules = rules
        self._keys = keys
        self._known: dict[str, Rule | None] = {}

    def hold_for(self, run_id: str) -> bool:
        """Whether a run's values are looked at: not where its id is too long for a series."""
        return self._keys.against_label(run_id) is None

    def of(self, key: str) -> Rule | None:
        """The rule of a key; None where all its values are kept."""
        try:
            return self._known[key]
        except KeyError:
            rule = self._find(key)
        if self._keys.against_label(key) is None:  # a longer one may be a megabyte
            if len(self._known) >= CACHED_KEYS:
                self._known.clear()
            self._known[key] = rule
        return rule

    def _find(self, key: str) -> Rule | None:
        if key.startswith(contract.SAMPLE_PREFIX) or self._keys.against_key(key):
            return None
        for rule in self._rules:
            if any(pattern.fullmatch(key) for pattern in rule.patterns):
                return rule
        return None
