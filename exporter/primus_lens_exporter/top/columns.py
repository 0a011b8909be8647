# SPDX-License-Identifier: Apache-2.0
"""Columns that share the width of a terminal: which are shown, how wide, and their rows.

When there is too little room, the least important column goes first; of those that stay,
what does not fit is cut with an ellipsis.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Generic, NamedTuple, TypeVar

from rich.text import Text

GAP = 2

Row = TypeVar("Row")


class Column(NamedTuple, Generic[Row]):
    """One column. Its texts must be harmless already."""

    title: str
    importance: int
    """The higher, the longer it stays."""

    cell: Callable[[Row], Text]
    least: int = 0
    """Cells below which it is of no use; 0: it must not be cut."""

    right: bool = False


class Table(NamedTuple):
    """Lines to show: the titles, then one for each row."""

    titles: Text
    rows: list[Text]


def table(
    columns: Sequence[Column[Row]],
    rows: Sequence[Row],
    width: int | None,
    shown: slice = slice(None),
) -> Table:
    """Lay out those rows that are shown, in columns that are as wide as all of them need.

    Without a width, columns take what they need. Those that are empty in all rows are left out.
    """
    cells = {column: [column.cell(row) for row in rows] for column in columns}
    filled = [column for column in columns if any(cells[column])] or list(columns)
    wanted = {
        column: max(len(column.title), *(text.cell_len for text in cells[column]), 1)
        for column in filled
    }
    widths = wanted if width is None else _fit(wanted, width)
    fitting = [column for column in filled if column in widths]

    def line(texts: Mapping[Column[Row], Text]) -> Text:
        return Text(" " * GAP).join(
            _cell(texts[column], widths[column], column) for column in fitting
        )

    titles = {column: Text(column.title) for column in fitting}
    places = range(len(rows))[shown]
    lines = [{column: cells[column][place] for column in fitting} for place in places]
    return Table(line(titles), [line(each) for each in lines])


def _fit(wanted: dict[Column[Row], int], width: int) -> dict[Column[Row], int]:
    """The most important columns at their least, then what is left to them in that order."""
    least = {c: min(want, c.least) if c.least else want for c, want in wanted.items()}
    chosen: dict[Column[Row], int] = {}
    for column in sorted(wanted, key=lambda column: -column.importance):
        if not chosen:
            chosen[column] = min(least[column], width)
        elif sum(chosen.values()) + least[column] + GAP * len(chosen) <= width:
            chosen[column] = least[column]
    left = width - sum(chosen.values()) - GAP * (len(chosen) - 1)
    for column, has in chosen.items():
        chosen[column] = has + min(left, wanted[column] - has)
        left -= chosen[column] - has
    return chosen


def _cell(text: Text, width: int, column: Column[Row]) -> Text:
    text = text.copy()
    text.truncate(width, overflow="ellipsis")
    text.align("right" if column.right else "left", width)
    return text
