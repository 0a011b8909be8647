# SPDX-License-Identifier: Apache-2.0
"""Metric definitions as wandb resolves them: which column is the x-axis of which key.

It keeps the user's definitions, and apart from them the keys that the step fix has plotted over
its own column. It must never plot a key for which the user has defined an axis.
"""

# The rules are wandb-core's runmetric.go, and handler.py's before 0.18: an exact definition wins
# over a pattern (`train/*`), and a later definition is merged into an earlier one.

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Dict, Iterator, List, NamedTuple, Optional, Set, Tuple

AXIS = "primus_lens/step"
"""The column that the step fix adds: the training step of a row."""

MAX_KEYS = 10_000  # a training that makes up keys for each row must not fill the memory


class Definition(NamedTuple):
    """What the user has said about one key, or about the keys of one pattern."""

    axis: Optional[str] = None
    """The key's x-axis (`step_metric`)."""

    synced: bool = False
    """Whether wandb fills in the axis where a row has the key alone (`step_sync`)."""

    summarized: bool = False
    """Whether the user has chosen how the key is summarized (`summary=`)."""

    def merged(
        self, axis: Optional[str], synced: Optional[bool], summary: Optional[str]
    ) -> Definition:
        """This one after a later definition of the same name, whose arguments these are."""
        # Synchronisation is what wandb does with an axis unless it is told not to.
        synced = bool(axis) if synced is None else synced
        return Definition(
            axis or self.axis, synced or self.synced, bool(summary) or self.summarized
        )


NOTHING = Definition()


class MetricDefinitions:
    """The definitions of one run."""

    def __init__(self) -> None:
        self.axes: Dict[str, None] = {}
        """Every axis that the user has named, in order."""
        self._exact: Dict[str, Definition] = {}
        self._patterns: Dict[str, Definition] = {}  # by the prefix before the star
        self._expanded: Dict[str, Definition] = {}  # by pattern, when a row had the key first
        self._known: Set[Tuple[str, ...]] = set()  # keys of rows that have been expanded
        self._ours: Dict[str, None] = {}

    def define(
        self,
        name: str,
        step_metric: Optional[str] = None,
        step_sync: Optional[bool] = None,
        summary: Optional[str] = None,
        overwrite: Optional[bool] = None,
    ) -> List[str]:
        """Note a definition of the user's; returns our keys for which it must win over ours."""
        name = name.replace("\\.", ".")  # how wandb writes a dot within a key
        table, key = self._exact, name
        if name.endswith("*"):
            table, key = self._patterns, name[:-1]
        old = NOTHING if overwrite else table.get(key) or self._expanded.get(key, NOTHING)
        table[key] = old.merged(step_metric, step_sync, summary)
        if step_metric:
            self.axes[step_metric] = None
        if table is self._exact:
            was_ours = name in self._ours
            self._ours.pop(name, None)
            return [name] if was_ours else []
        # wandb lets an exact definition win over a pattern, and ours are exact.
        return [ours for ours in self._ours if ours.startswith(key)]

    def may_bind(self, keys: Tuple[str, ...]) -> bool:
        """Whether `expand` has not had these keys of a call yet."""
        return keys not in self._known

    def expand(self, keys: Tuple[str, ...], dotted: Iterable[str]) -> None:
        """Bind keys of a row that wandb writes to the patterns as they are now.

        A pattern that is defined again later does not change them any more. `dotted` are
        those of the values in the row, `keys` those of the call that brought them.
        """
        if not self._patterns or keys in self._known:
            return
        for key in dotted:
            if key not in self._expanded and len(self._expanded) < MAX_KEYS:
                found = self._by_pattern(key)
                if found is not None:
                    self._expanded[key] = found
                    self._ours.pop(key, None)
        if len(self._known) < MAX_KEYS:
            self._known.add(keys)

    def of(self, key: str) -> Definition:
        """What the user has said of a key; nested keys are joined by dots."""
        found = self._exact.get(key) or self._expanded.get(key)
        return found or self._by_pattern(key) or NOTHING

    def synced_axes(self, values: Mapping[str, Any]) -> List[str]:
        """The axes that wandb fills in for a row of these values."""
        if not self.axes:
            return []
        defined = [self.of(key) for key in paths(values)]
        return list(dict.fromkeys(each.axis for each in defined if each.synced and each.axis))

    def has_summary(self, key: str) -> bool:
        """Whether the user has chosen how the key is summarized."""
        return self.of(key).summarized

    def bind(self, values: Mapping[str, Any]) -> None:
        """Note values of a row that is not where native wandb has it, if that has it at all.

        A key of a pattern of the user's counts as ours, until native wandb has a row of it: our
        row binds it to the pattern as it is now, and native wandb would not.
        """
        if not self._patterns:
            return
        for key in paths(values):
            is_free = not self._has_axis(key) and len(self._ours) < MAX_KEYS
            if is_free and self._by_pattern(key) is not None:
                self._ours[key] = None

    def to_plot(self, values: Mapping[str, Any]) -> List[str]:
        """Keys of a row of ours that have no axis yet; from now on they have AXIS."""
        self.bind(values)
        plotted = []
        for key in paths(values):
            if self._has_axis(key) or key.startswith("_") or len(self._ours) >= MAX_KEYS:
                continue
            self._ours[key] = None
            # wandb takes no other star than that of a pattern, and no empty name.
            # Such a key keeps wandb's own axis, and its values are there all the same.
            if key and "*" not in key:
                plotted.append(key)
        return plotted

    def _has_axis(self, key: str) -> bool:
        return key in self._ours or key in self._exact or key in self._expanded or key in self.axes

    def _by_pattern(self, key: str) -> Optional[Definition]:
        if key.startswith("_"):  # wandb's own
            return None
        found = (each for prefix, each in self._patterns.items() if key.startswith(prefix))
        return next(found, None)


def carried(values: Mapping[str, Any], axes: Iterable[str]) -> Dict[str, Any]:
    """The axes that a row has itself: name to number."""
    return {axis: values[axis] for axis in axes if _is_number(values.get(axis))}


def _is_number(value: Any) -> bool:
    # A flag is an int to isinstance, and no place on an axis.
    # By its class: isinstance may ask the object itself, which may raise.
    return issubclass(type(value), (int, float)) and type(value) is not bool


def paths(values: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    """The keys of all values, those of nested dicts joined by dots."""
    for key, value in values.items():
        # A dict with a _type is a medium that wandb has encoded, one value.
        name = key if type(key) is str else text_of(key)
        if type(value) is dict and "_type" not in value:
            yield from paths(value, prefix + name + ".")
        else:
            yield prefix + name


def text_of(key: Any) -> str:
    """A key as JSON has it: wandb takes numbers as keys of nested dicts."""
    return key if issubclass(type(key), str) else str(key)
