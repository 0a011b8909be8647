# SPDX-License-Identifier: Apache-2.0
"""Writes the boards into the chart, and their page into docs/: `python -m primus_lens_boards`."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

from grafana_foundation_sdk.cog.encoder import JSONEncoder

from primus_lens_boards import docs, frame, hardware, health, ranks, run, runs

ROOT = Path(__file__).parents[2]
DIRECTORY = Path("charts/primus-lens-wandb/dashboards")
PAGE = Path("docs/boards.md")
BOARDS = {
    frame.RUNS: runs,
    frame.RUN: run,
    frame.RANKS: ranks,
    frame.HARDWARE: hardware,
    frame.HEALTH: health,
}


def files(root: Path) -> Iterator[tuple[Path, str]]:
    """Path below `root` and text of everything that is made."""
    texts = {}
    for file, module in BOARDS.items():
        text = json.dumps(module.dashboard(), cls=JSONEncoder, indent=1, ensure_ascii=False)
        texts[file] = json.loads(text)
        yield DIRECTORY / file, text + "\n"
    yield PAGE, docs.page((root / PAGE).read_text(), texts)


def main(root: Path = ROOT) -> None:
    """Write it below `root`, which is this repository unless a test says otherwise."""
    for path, text in files(root):
        (root / path).write_text(text)


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:2]))
