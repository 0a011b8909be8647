# SPDX-License-Identifier: Apache-2.0
"""The newest value of each key by training step: what a run's summary has to show.

It remembers what to put back after a late row, and what a reader is to be shown of rows that
still wait. It keeps numbers and short texts, and must never keep a tensor or a medium.
"""

# wandb's summary is the value of the row that it got last. A late row puts an old value there: a
# sweep that reads run.summary["val"] to choose its best trial would choose another one.

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Dict, Iterator, List, Optional, Set, Tuple

from primus_lens_hook.step_fix.metric_definitions import MAX_KEYS, MetricDefinitions, text_of
from primus_lens_hook.step_fix.row import NEVER, Age, Row, plain

MAX_ROWS = 64  # sets of keys; a training that makes up keys has a new one for each row
MAX_CALLS = 64  # kept apart of an open row: one that names the same step for ever never ends it

Path = Tuple[str, ...]


class Summary:
    """Values of one run, of the rows that wandb has got and of the user's own writing."""

    def __init__(self, definitions: MetricDefinitions) -> None:
        self._definitions = definitions
        self._newest: Dict[Path, Tuple[Age, Any]] = {}
        self._open: List[Tuple[Age, Mapping[Any, Any], str]] = []  # of the row that is open
        # What late rows have hidden, and the axes of which they have had values of their own.
        self._hidden: List[Path] = []
        self._filled_in: Set[str] = set()
        self._late_axes: Set[str] = set()
        # The newest rows by their templates, not looked into yet: a run in order never needs them.
        self._rows: Dict[str, Tuple[Age, Mapping[Any, Any], str]] = {}

    def note(
        self,
        values: Mapping[Any, Any],
        template: str,
        age: Age,
        begins: bool = False,
        ends: Optional[bool] = False,
    ) -> None:
        """Remember what wandb got; it must not change. The summary shows it when its row has ended.

        With a template, these are the numbers of one call; without, each path has an age and a
        value. `begins` says that they are the first of their row: the row before has ended.
        `ends` says that they are the last of it.
        """
        if begins and self._open:
            self.row_ended()
        if ends and template and not self._open:
            self._keep((age, values, template))
            return
        if len(self._open) == MAX_CALLS:
            self._open = [(NEVER, self._open_row(), "")]
        self._open.append((age, values, template))
        if ends:
            self.row_ended()

    def note_each(
        self,
        values: Mapping[str, Any],
        ages: Mapping[str, Age],
        begins: bool = False,
        ends: Optional[bool] = False,
    ) -> None:
        """The same for any values; their ages are by key."""
        leaves = {p: (ages[p[0]], plain(value)) for p, value in _leaves(values)}
        self.note(leaves, "", NEVER, begins, ends)

    def row_ended(self) -> None:
        """Note that wandb's summary shows all values that it has got."""
        # Not with each value: wandb's summary shows a value when its row has ended, and a read in
        # between has to answer as native wandb's does.
        if len(self._open) == 1 and self._open[0][2]:
            self._keep(self._open.pop())
        else:
            self._remember(self._open_row())
            self._open.clear()

    def _keep(self, row: Tuple[Age, Mapping[Any, Any], str]) -> None:
        """Keep a row of one call as it is, where it is the newest of its template."""
        known = self._rows.get(row[2])
        if known is None:
            if len(self._rows) == MAX_ROWS:
                self._look_into_rows()
        elif row[0] < known[0]:
            return
        self._rows[row[2]] = row

    def _open_row(self) -> Dict[Path, Tuple[Age, Any]]:
        row: Dict[Path, Tuple[Age, Any]] = {}
        for age, values, template in self._open:  # within a row the later call counts
            row.update(_aged(values, age) if template else values)
        return row

    def note_written(self, values: Mapping[Path, Any], age: Age) -> None:
        """Remember what the user has put into the summary: it is newer than any row so far."""
        self._look_into_rows()
        for path, value in values.items():
            known = self._newest.pop(path, None)
            kept = plain(value)
            if kept is not None and len(self._newest) < MAX_KEYS:
                self._newest[path] = (age if known is None else max(age, known[0]), kept)

    def hide(self, values: Mapping[str, Any], ages: Mapping[str, Age]) -> None:
        """Note late values that are about to be shown in the place of newer ones."""
        if values:
            self._look_into_rows()
            paths = [path for path, _ in _leaves(values) if path in self._newest]
            self._hidden += [path for path in paths if ages[path[0]] < self._newest[path][0]]
            self._late_axes.update(values.keys() & self._definitions.axes.keys())

    def note_filled_in(self, axes: Iterable[str]) -> None:
        """Note the axes that a late row carries for native wandb's sake."""
        self._filled_in.update(axes)

    @property
    def is_hidden(self) -> bool:
        """Whether late rows have changed what the summary has to show."""
        return bool(self._hidden or self._filled_in)

    def to_restore(self, native: Mapping[str, Any]) -> Dict[Path, Any]:
        """What to show again; `native` has native wandb's newest values of axes.

        A key that the user has chosen a `summary=` for is wandb's to summarize.
        """
        self._look_into_rows()
        paths = [*self._hidden, *((axis,) for axis in self._filled_in)]
        shown = {path: self._newest[path][1] for path in paths if path in self._newest}
        for axis in native.keys() & self._filled_in - self._late_axes:
            shown[axis,] = native[axis]  # no late row had a value of its own
        self._hidden.clear()
        self._filled_in.clear()
        return {path: value for path, value in shown.items() if not self._is_users(path)}

    def with_rows(self, shown: Dict[str, Any], waiting: Iterable[Row]) -> Dict[str, Any]:
        """What wandb shows, and what it would show if it had the late ones of these rows."""
        rows = [row for row in waiting if row.late]
        if not rows:
            return shown
        self._look_into_rows()
        shown, newest = dict(shown), {p: age for p, (age, _) in self._newest.items()}
        for row in rows:
            for path, value in _leaves(row.values):
                age = row.ages[path[0]]
                # The rows too: with duplicates kept, a value may wait before an older one.
                if newest.get(path, NEVER) <= age and not self._is_users(path):
                    newest[path] = age
                    _put(shown, path, value)
        return shown

    def _is_users(self, path: Path) -> bool:
        return self._definitions.has_summary(".".join(path))

    def _look_into_rows(self) -> None:
        rows, self._rows = self._rows, {}
        for age, values, _ in rows.values():
            self._remember(_aged(values, age))

    def _remember(self, values: Mapping[Path, Tuple[Age, Any]]) -> None:
        newest = self._newest
        for path, (age, value) in values.items():
            known = newest.get(path)
            if known is not None and age < known[0]:
                continue
            # Too large to keep, or nothing to put back. Forgotten, since the older value that is
            # known would be put in the place of a newer one.
            if value is None:
                newest.pop(path, None)
            elif known is not None or len(newest) < MAX_KEYS:
                newest[path] = (age, value)


def _aged(values: Mapping[str, Any], age: Age) -> Dict[Path, Tuple[Age, Any]]:
    return {(key,): (age, value) for key, value in values.items()}


def _leaves(values: Mapping[str, Any], prefix: Path = ()) -> Iterator[Tuple[Path, Any]]:
    for key, value in values.items():
        name = key if type(key) is str else text_of(key)
        if type(value) is dict and "_type" not in value:
            yield from _leaves(value, (*prefix, name))
        elif name != "_timestamp":  # wandb's own
            yield (*prefix, name), value


def _put(shown: Dict[str, Any], path: Path, value: Any) -> None:
    """Put a value under its path; the dicts on the way are copied."""
    # They may be wandb's own answer, of which the caller has kept a part.
    for key in path[:-1]:
        below = shown.get(key)
        shown[key] = shown = dict(below) if isinstance(below, dict) else {}
    shown[path[-1]] = value
