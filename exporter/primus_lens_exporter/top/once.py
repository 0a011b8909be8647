# SPDX-License-Identifier: Apache-2.0
"""One table, printed: for pipes, for scripts, for terminals that cannot do more."""

from __future__ import annotations

import time

from rich.console import Console
from rich.text import Text

from primus_lens_exporter.live.schema import Snapshot
from primus_lens_exporter.top import panels, rows, text
from primus_lens_exporter.top.columns import table
from primus_lens_exporter.top.model import Model


def lines(shown: str, snapshot: Snapshot, console: Console, width: int | None) -> list[Text]:
    """Health, a line for each run, and all hints; without a width nothing is cut."""
    runs = Model(snapshot, time.time()).runs()
    laid = table(rows.runs(runs, snapshot.now), runs, width)
    told = [*panels.header(shown, snapshot, time.time(), width), Text()]
    told += [laid.titles, *laid.rows] if runs else [Text(panels.NO_RUNS)]
    for run in runs:
        if run.hints:
            told += [Text(), Text(text.harmless(run.title), "bold")]
            told += panels.hints(run, console, width)
    return told


def show(told: list[Text], console: Console) -> None:
    """Print them as they are, whatever the width that rich believes in."""
    for line in told:
        line.rstrip()
        console.print(line, soft_wrap=True)
