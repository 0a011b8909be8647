# SPDX-License-Identifier: Apache-2.0
"""`primus-lens demo`: arguments in, exit status out."""

from __future__ import annotations

import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from primus_lens_toolkit.flags import Parser
from rich.console import Console

from primus_lens_demo.app import run
from primus_lens_demo.processes import DemoError

STEPS = 120
SERVED = 1_200  # two minutes to look at the live page

DESCRIPTION = """\
Train a script on four ranks (two nodes of two, as processes of this machine) with
wandb offline, export what it logs, and show the series, in Prometheus when there is one."""
EPILOG = """\
example:
  primus-lens demo examples/train.py
The script needs to know nothing of this package; it is given --steps."""


def main(arguments: Sequence[str]) -> int:
    """Returns 0 when every log call has arrived, 1 when not, 2 for bad arguments."""
    parser = Parser("primus-lens demo", DESCRIPTION, EPILOG, allow_abbrev=True)
    parser.add_argument("script", type=Path, help="the training script")
    parser.add_argument(
        "--steps", type=int, help=f"steps of each rank [default: {STEPS}, with --serve {SERVED}]"
    )
    parser.add_argument("--serve", action="store_true", help="keep serving when training has ended")
    given = parser.parse_args(arguments)
    steps = (SERVED if given.serve else STEPS) if given.steps is None else given.steps
    if not given.script.is_file():
        parser.error(f"{given.script} is not a file; name a training script")
    if steps < 1:
        parser.error(f"--steps: expected a whole number above zero, not {steps}")
    # The processes that were started end with this one, also when it is told to end.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    console = Console()
    try:
        run(given.script, steps, console, serve=given.serve)
    except DemoError as error:
        console.print(f"primus-lens demo: {error}", markup=False, highlight=False)
        return 1
    return 0
