# SPDX-License-Identifier: Apache-2.0
"""`make differential`: many random programs, natively and hooked, with a progress bar."""

import os
import sys
from concurrent.futures import ThreadPoolExecutor, as_completed

from rich.console import Console
from rich.progress import track

from support import seeded_command
from support.differential import pack, processes, rules, shrink

HELP = """
Random training programs run as real processes, once with wandb alone and once with the
hook, and what they leave behind is compared: rows, records, summary, errors, exit. What
wandb alone leaves is right by definition; values that it drops must be there too, at the
step of their call. A failing program is shrunk and printed with the rule that it breaks:

  1 a value that native keeps is in W&B once, with the same columns of the user's axes
  2 a value that native drops is in W&B once, at its training step, over the axes as they were
  3 the records have each call at its training step, late rows marked
  4 reads of the summary answer what they answer natively; dropped keys: the newest by step
  5 the same errors at the same calls, and no other value is lost for them
  6 the same end: status, output, files, config; nothing is lost however it comes
  7 children of the process cost no value of their parent
"""
EXAMPLES = """
examples:
  make differential                          300 programs, a new seed each time
  make differential N=5000 SEED=7            the same 5000 each time

  cd tests
  python -m support.differential 40 --python ../.venv/matrix/python3.7-wandb0.12.0/bin/python
  python -m support.differential 100 --native     validate the comparison itself
"""


def arguments():
    parser = seeded_command.parser("support.differential", HELP, EXAMPLES, count=300, of="programs")
    parser.add_argument("--python", help="the interpreter to train with")
    parser.add_argument(
        "--most",
        type=int,
        default=3,
        help="failures to be shrunk",
    )
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="processes at once")
    return parser.parse_args()


def main():
    asked = arguments()
    console = Console(width=None if sys.stdout.isatty() else 170)
    console.print(f"{asked.count} programs of seed {asked.seed}")
    failed = []
    with ThreadPoolExecutor(asked.jobs) as pool:
        packs = pack.packs(asked.seed, asked.count, asked.python or "")
        scripts = [*packs, *processes.processes(asked.seed, asked.count // pack.SIZE)]
        how = {"python": asked.python, "hooked": not asked.native}
        running = {pool.submit(each.broken, **how): each for each in scripts}
        ended = track(as_completed(running), "training", len(running), console=console)
        for number, done in enumerate(ended, start=1):
            if broken := done.result():
                failed.append((running[done], broken))
                console.print(rules.brief(broken), markup=False, highlight=False)
            if not console.is_terminal and number % (len(running) // 10 or 1) == 0:
                console.print(f"{number} of {len(running)} processes, {len(failed)} failed")
    for each, broken in failed[: 0 if asked.native else asked.most]:
        console.print(shrink.report(each, broken, asked.python), markup=False, highlight=False)
    console.print(f"{len(failed)} of {len(running)} processes failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
