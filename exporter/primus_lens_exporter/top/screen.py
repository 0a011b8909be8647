# SPDX-License-Identifier: Apache-2.0
"""The lines of the whole screen, for a model and a size. Nothing here asks or waits.

From top to bottom: the exporter's health, runs or ranks, what is known of the chosen run,
and the keys. Whatever the size, the row that is chosen is on it.
"""

from __future__ import annotations

import time

from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text

from primus_lens_exporter.top import panels, rows, text
from primus_lens_exporter.top.columns import Table, table
from primus_lens_exporter.top.model import Model

KEYS = "q quit · ↑↓ choose · Enter ranks · / filter · s sort: {order} · p pause · ? help"
RANK_KEYS = "Esc back · ↑↓ choose · p pause · q quit · ? help"
HELP = """\
↑ ↓ or k j     choose a run, or one of its ranks
PgUp PgDn      a screenful; Home and End: the first and the last
Enter          the ranks of the run
Esc            back; in the list of runs: no filter any more
/              only runs with this in a name, id, namespace or workload
s              sort by what is recent, name, step, speed or hints
p              pause, and go on
q or Ctrl-C    quit

Any key closes this."""


class Screen:
    """Shows a model, and tells it how many rows have fit."""

    def __init__(self, shown: str, model: Model) -> None:
        self._shown = shown
        self._model = model

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Exactly as many lines as the screen has."""
        width, height = options.max_width, options.height or options.max_height
        for line in self._lines(console, width, height)[:height]:
            line.no_wrap, line.overflow = True, "ellipsis"
            yield line

    def _lines(self, console: Console, width: int, height: int) -> list[Text]:
        model = self._model
        if model.helping:
            return [Text(line) for line in HELP.splitlines()]
        above = panels.header(self._shown, model.snapshot, model.seen, width)
        above = [*_banner(model), *above][: height // 4]
        below = self._below(console, width, (height - len(above)) // 2)
        model.page = max(1, height - len(above) - len(below) - 2)
        body = self._body(width, model.page)
        body += [Text()] * (model.page + 1 - len(body))
        return [*above, *body, *below, _footer(model)]

    def _body(self, width: int, page: int) -> list[Text]:
        model = self._model
        count, place = len(model.ids()), model.place()
        if not count:
            return [Text(_nothing(model))]
        # The chosen row in the middle, as far as the ends let it.
        first = max(0, min(place - page // 2, count - page))
        laid = _table(model, width, slice(first, first + page))
        laid.rows[place - first].stylize("reverse")
        laid.titles.stylize("bold")
        return [laid.titles, *laid.rows]

    def _below(self, console: Console, width: int, room: int) -> list[Text]:
        run = self._model.run()
        lines = [Text(), *panels.about(run, console, width)] if run else []
        if len(lines) > room:
            lines = [*lines[: max(0, room - 1)], Text("…")]
        return lines if room > 1 else []


def _table(model: Model, width: int, shown: slice) -> Table:
    run, now = model.run(), model.snapshot.now
    if run and model.inside:
        return table(rows.ranks(run, now), run.ranks, width, shown)
    runs = model.runs()
    return table(rows.runs(runs, now), runs, width, shown)


def _nothing(model: Model) -> str:
    if model.inside:
        return "This run has gone. Esc goes back."
    if model.snapshot.runs:
        return f"No run has {text.harmless(model.filter)!r} in its names; Esc shows all."
    return panels.NO_RUNS


def _banner(model: Model) -> list[Text]:
    """Why what is shown may be old."""
    since = time.strftime("%H:%M:%S", time.localtime(model.seen))
    if model.trouble:
        why = text.harmless(model.trouble)
        return [Text(f"! shown is what was at {since}: {why}", "bold red")]
    return [Text(f"paused: shown is what was at {since}; p goes on", "bold")] * model.paused


def _footer(model: Model) -> Text:
    if model.typing:
        return Text(f"/{text.harmless(model.filter)}_   Enter keeps it, Esc clears it")
    if model.inside:
        return Text(RANK_KEYS)
    keys = KEYS.format(order=model.order)
    return Text(f"filter: {text.harmless(model.filter)} · {keys}" if model.filter else keys)
