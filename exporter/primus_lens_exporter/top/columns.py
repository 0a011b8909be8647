# SPDX-License-Identifier: Apache-2.0
"""Columns that share the width of a terminal: which are shown, how wide, and their rows.

When there is too little room, the least important column goes first; of those that stay,
what does not fit is cut with an ellipsis.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
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
    filled = {column: texts for column, texts in cells.items() if any(texts)} or cells
    wanted = {column: _needed(column, texts) for column, texts in filled.items()}
    widths = _fit(wanted, width)
    titles = _line(widths, [Text(column.title) for column in widths])
    lines = zip(*(cells[column][shown] for column in widths), strict=True)
    return Table(titles, [_line(widths, texts) for texts in lines])


def _needed(column: Column[Row], texts: list[Text]) -> int:
    return max(len(column.title), *(text.cell_len for text in texts), 1)


def _fit(wanted: dict[Column[Row], int], width: int | None) -> dict[Column[Row], int]:
    """The most important columns at their least, then what is left to them in that order."""
    if width is None:
        return wanted
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
    return {column: chosen[column] for column in wanted if column in chosen}


def _line(widths: Mapping[Column[Row], int], texts: Iterable[Text]) -> Text:
    places = zip(texts, widths.items(), strict=True)
    return Text(" " * GAP).join(_cell(text, width, column) for text, (column, width) in places)


def _cell(text: Text, width: int, column: Column[Row]) -> Text:
    text = text.copy()
    text.truncate(width, overflow="ellipsis")
    text.align("right" if column.right else "left", width)
    return text
