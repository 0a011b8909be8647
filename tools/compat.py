# SPDX-License-Identifier: Apache-2.0
"""`make compat`: real trainings on each Python and wandb, and with real frameworks.

Each runs twice, with wandb alone and with the step fix; what W&B has is read back from
its own files. Prints a row for each training; the exit status is 1 if the step fix lost
or moved a value, or the JSONL lost a call.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from rich.console import Console
from rich.progress import track
from rich.table import Table

from support import frameworks, matrix, patterns, places, training
from support.repository import ROOT

NO_HOOK = {"PRIMUS_LENS_WANDB_HOOK": "false"}
FIX = {"WANDB_STEP_FIX_DUPLICATES": "keep"}
COLUMNS = ("Python, wandb", "training", "rows sent", "in JSONL", "in W&B, alone", "with the fix",
           "values sent", "lost alone", "lost", "moved")  # fmt: skip


def main():
    only = arguments().only
    console = Console(width=None if sys.stdout.isatty() else 170)
    with tempfile.TemporaryDirectory(prefix="primus-lens-wheel-") as directory:
        wheel = build_wheel(directory)
        work = [*pattern_cells(wheel, console, only), *framework_cells(wheel, console, only)]
    table = Table(
        *COLUMNS, title="values that W&B lacks in the end, or draws elsewhere than it should"
    )
    failed = []
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        done = pool.map(lambda each: tried(*each), work)
        for line, trouble in track(done, "training", total=len(work), console=console):
            table.add_row(*line)
            failed += trouble
    console.print(table)
    for text in failed:
        console.print(text, markup=False)
    return 1 if failed else 0


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    text = 'train only what has TEXT in its first two columns of the table: "frameworks", "Keras"'
    parser.add_argument("--only", metavar="TEXT", default="", help=text)
    return parser.parse_args()


def tried(cell, name, python, script, flags):
    """Train with wandb alone and with the step fix; returns what `compared` does."""
    with tempfile.TemporaryDirectory(prefix="primus-lens-compat-") as directory:
        alone = trained(Path(directory, "alone"), python, script, flags, NO_HOOK)
        ours = trained(Path(directory, "ours"), python, script, flags, FIX)
        return compared(cell, name, alone, ours)


def compared(cell, name, alone, ours):
    """A line of the table, and what went wrong."""
    calls = len(patterns.sent(ours))
    values = sum(len(data) for data, _ in patterns.sent(ours))
    lost = len(patterns.lost(ours))
    share = f"{len(patterns.lost(alone))} ({patterns.share_lost(alone):.0%})"
    counts = (calls, len(ours.lines), len(alone.rows), len(ours.rows), values, share, lost)
    moved, trouble = places_of(name, alone, ours)
    line = (cell, name, *map(str, counts), moved)
    if lost or ours.status or ours.complaints or len(ours.lines) < calls:
        trouble = [*trouble, f"{ours.complaints} {ours.stderr[-500:]}"]
    return line, [f"{cell}: {name}: {text}" for text in trouble]


def places_of(name, alone, ours):
    """How many values have moved, for the table, and the first of them."""
    if name in patterns.THREADED:
        return "", []
    if patterns.sent(alone) != patterns.sent(ours):
        return "?", ["the two runs sent different values: their places cannot be compared"]
    moved, compared = places.moved(alone, ours)
    first = ["{}={} should be at {}, is at {}".format(*each) for each in moved[:3]]
    return f"{len(moved)} of {compared}", first


def build_wheel(directory):
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "-w", directory]
    subprocess.run([*command, ROOT], check=True)
    return next(Path(directory).glob("*.whl"))


def pattern_cells(wheel, console, only):
    scripts = {**patterns.PATTERNS, "the same key four times": patterns.FOUR_TIMES}
    for cell in matrix.MATRIX:
        names = [name for name in scripts if only in f"{cell.name} {name}"]
        if not names:
            continue
        if matrix.interpreter(cell.python) is None:
            console.print(f"no Python {cell.python} on this machine: left out", style="yellow")
            continue
        python = matrix.environment(cell, wheel)
        for name in names:
            yield cell.name, name, python, patterns.script(scripts[name]), ()


def framework_cells(wheel, console, only):
    cell = frameworks.CELL
    names = [name for name in frameworks.TRAININGS if only in f"{cell.name} {name}"]
    if not names:
        return
    try:
        python = matrix.environment(cell, wheel)
    except (subprocess.CalledProcessError, TypeError) as error:
        console.print(f"no frameworks on this machine: left out ({error})", style="yellow")
        return
    for name in names:
        torchrun = ("-m", "torch.distributed.run", "--nproc-per-node", "2")
        flags = torchrun if name.startswith("torchrun") else ()
        yield cell.name, name, python, frameworks.script(frameworks.TRAININGS[name]), flags


def trained(directory, python, script, flags, env):
    env = {**env, "WANDB_PROJECT": "compat"}
    done = training.run(directory, script, python=python, flags=flags, env=env, timeout=300)
    if not (done.directory / "sent.json").exists():
        sys.exit(f"{python} failed:\n{done.stderr[-3000:]}")
    return done


if __name__ == "__main__":
    sys.exit(main())
