# SPDX-License-Identifier: Apache-2.0
"""The lines of the whole screen, for a state and a size. Nothing here asks or waits.

From top to bottom: the exporter's health, runs or ranks, what is known of the chosen run,
and the keys. Whatever the size, the row that is chosen is on it.
"""

from __future__ import annotations

import time

from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text

from primus_lens_exporter.top import panels, rows, text
from primus_lens_exporter.top.columns import Table, table
from primus_lens_exporter.top.state import State

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
    """Shows a state, and tells it how many rows have fit."""

    def __init__(self, shown: str, state: State) -> None:
        self._shown = shown
        self._state = state

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Exactly as many lines as the screen has."""
        width, height = options.max_width, options.height or options.max_height
        for line in self._lines(console, width, height)[:height]:
            line.no_wrap, line.overflow = True, "ellipsis"
            yield line

    def _lines(self, console: Console, width: int, height: int) -> list[Text]:
        state = self._state
        if state.helping:
            return [Text(line) for line in HELP.splitlines()]
        above = panels.header(self._shown, state.snapshot, state.seen, width)
        above = [*_banner(state), *above][: height // 4]
        below = self._below(console, width, (height - len(above)) // 2)
        state.page = max(1, height - len(above) - len(below) - 2)
        body = self._body(width, state.page)
        body += [Text()] * (state.page + 1 - len(body))
        return [*above, *body, *below, _footer(state)]

    def _body(self, width: int, page: int) -> list[Text]:
        state = self._state
        count, place = len(state.ids()), state.place()
        if not count:
            return [Text(_nothing(state))]
        # The chosen row in the middle, as far as the ends let it.
        first = max(0, min(place - page // 2, count - page))
        laid = _table(state, width, slice(first, first + page))
        laid.rows[place - first].stylize("reverse")
        laid.titles.stylize("bold")
        return [laid.titles, *laid.rows]

    def _below(self, console: Console, width: int, room: int) -> list[Text]:
        run = self._state.run()
        lines = [Text(), *panels.about(run, console, width)] if run else []
        if len(lines) > room:
            lines = [*lines[: max(0, room - 1)], Text("…")]
        return lines if room > 1 else []


def _table(state: State, width: int, shown: slice) -> Table:
    run, now = state.run(), state.snapshot.now
    if run and state.inside:
        return table(rows.ranks(run, now), run.ranks, width, shown)
    runs = state.runs()
    return table(rows.runs(runs, now), runs, width, shown)


def _nothing(state: State) -> str:
    if state.inside:
        return "This run has gone. Esc goes back."
    if state.snapshot.runs:
        return f"No run has {text.harmless(state.filter)!r} in its names; Esc shows all."
    return panels.NO_RUNS


def _banner(state: State) -> list[Text]:
    """Why what is shown may be old."""
    since = time.strftime("%H:%M:%S", time.localtime(state.seen))
    if state.trouble:
        why = text.harmless(state.trouble)
        return [Text(f"! shown is what was at {since}: {why}", "bold red")]
    return [Text(f"paused: shown is what was at {since}; p goes on", "bold")] * state.paused


def _footer(state: State) -> Text:
    if state.typing:
        return Text(f"/{text.harmless(state.filter)}_   Enter keeps it, Esc clears it")
    if state.inside:
        return Text(RANK_KEYS)
    keys = KEYS.format(order=state.order)
    return Text(f"filter: {text.harmless(state.filter)} · {keys}" if state.filter else keys)
