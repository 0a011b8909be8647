# SPDX-License-Identifier: Apache-2.0
"""`make chaos`: an hour of a node's life compressed, and every promise checked at its end."""

import argparse
import os
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.progress import Progress

from support import fuse, mount_namespace
from support.chaos import lies, report
from support.chaos.acts import ACTS
from support.chaos.plan import LONGEST, plan, volumes
from support.chaos.promises import NAMES
from support.chaos.running import Player, broken
from support.chaos.settings import ChaosSettings
from support.chaos.world import World

SETTINGS = ChaosSettings()
KINDS = "\n".join(f"  {name:10} {act.__doc__}" for name, act in ACTS.items())
TOLD = "\n".join(f"  {name:10} {module.__doc__.splitlines()[0]}" for name, module in NAMES.items())
HELP = f"""
An hour of a node's life in minutes: trainings begin, resume, rotate and are killed, their
directories are copied, mirrored and removed, volumes are full or hang, clocks are set, and the
exporter and both Prometheus are killed. Windows, thresholds and grace are shortened by
{SETTINGS.factor}. At the end both Prometheus are asked for everything they have.

acts, for --only:
{KINDS}

promises:
{TOLD}

A page has to be right as of {SETTINGS.lag:g} s ago. Interrupted, it reports what it has found.
Volumes are mounted in a namespace of their own, which needs root; without it, and without FUSE,
the acts on them are left out.
"""
EXAMPLES = """
examples:
  make chaos                            three minutes, a new seed each time
  make chaos SEED=7 MINUTES=10          the same ten minutes each time

  cd tests
  python -m support.chaos --seed 7 --only copies,restarts   these acts alone
  python -m support.chaos --seed 7 --acts 3,12              of the acts of seed 7, these two
  python -m support.chaos --seed 7 --plan                   show the acts, do nothing
  python -m support.chaos --directory /tmp/c --seed 7       keep logs and data there
  python -m support.chaos --lies                            check the checks: each lie is found
"""


def kinds(text):
    names = text.split(",")
    if unknown := set(names) - set(ACTS):
        raise argparse.ArgumentTypeError(f"no such act: {', '.join(unknown)}; see --help")
    return names


def arguments():
    parser = argparse.ArgumentParser(
        "python -m support.chaos",
        description=HELP,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--seed", default=str(os.getpid()), help="same seed, same acts")
    parser.add_argument("--minutes", type=float, default=3.0, help="how long the acts go on")
    parser.add_argument("--only", type=kinds, help="kinds of acts, with commas between")
    parser.add_argument("--acts", help="numbers of acts of the plan, with commas between")
    parser.add_argument("--plan", action="store_true", help="show the acts, and do nothing")
    parser.add_argument("--directory", type=Path, help="an empty or new one, which is kept")
    parser.add_argument("--lies", action="store_true", help="check the checks")
    return parser.parse_args()


def possible():
    """The kinds of acts that this machine has what it takes for."""
    lacking = set()
    if not mount_namespace.can_mount():
        lacking = {"full", "hung"}
    elif fuse.why_not():
        lacking = {"hung"}
    return [kind for kind in ACTS if kind not in lacking]


def main():
    asked = arguments()
    mount_namespace.enter("support.chaos")
    console = Console(width=None if sys.stdout.isatty() else 170)
    if asked.directory:
        asked.directory.mkdir(parents=True, exist_ok=True)
        return Chaos(console, asked.directory, asked).run()
    with tempfile.TemporaryDirectory(
        prefix="primus-lens-chaos-", ignore_cleanup_errors=True
    ) as directory:
        return Chaos(console, Path(directory), asked).run()


class Chaos:
    """One run of the command."""

    def __init__(self, console, directory, asked):
        self.console, self.directory, self.asked = console, directory, asked
        self.seconds = asked.minutes * 60

    def run(self):
        if self.asked.lies:
            return self.check_the_checks()
        acts = self.planned()
        self.show(f"{len(acts)} acts of seed {self.asked.seed} in {self.seconds:.0f} s")
        if self.asked.plan:
            self.show("\n".join(map(str, acts)))
            return 0
        with World(self.directory, SETTINGS, self.seconds, volumes(acts)) as world:
            findings = self.play(world, Player(world, acts))
            self.show("\n".join(report.of(findings)))
            self.show("\n".join(report.speed(world)))
        self.show(report.totals(findings))
        self.show(f"again: {self.command}" if findings else "")
        return 1 if findings else 0

    @property
    def command(self):
        asked = self.asked
        words = [f"python -m support.chaos --seed {asked.seed} --minutes {asked.minutes:g}"]
        words += [f"--only {','.join(asked.only)}"] if asked.only else []
        words += [f"--acts {asked.acts}"] if asked.acts else []
        return " ".join(words)

    def planned(self):
        asked, here = self.asked, possible()
        if left_out := set(asked.only or ACTS) - set(here):
            self.show(f"left out, since this machine lacks what they need: {', '.join(left_out)}")
        chosen = [kind for kind in here if kind in (asked.only or ACTS)]
        acts = plan(asked.seed, self.seconds, chosen, SETTINGS.act_every)
        if asked.acts:
            numbers = {int(number) for number in asked.acts.split(",")}
            acts = [act for act in acts if act.number in numbers]
            last = max((act.at for act in acts), default=0.0)
            self.seconds = min(self.seconds, last + LONGEST)
        return acts

    def play(self, world, player):
        with Progress(console=self.console) as progress:
            task = progress.add_task("acting", total=len(player.acts))

            def begun(act):
                progress.update(task, advance=1, description=str(act))
                if not self.console.is_terminal and act.number % 10 == 0:
                    self.show(f"{act}")

            try:
                player.play(begun)
                player.end()
            except KeyboardInterrupt:
                self.show("interrupted")
                player.interrupt()
                player.end()
        return [*player.findings, *broken(world)]

    def check_the_checks(self):
        with World(self.directory, lies.SETTINGS, lies.SECONDS) as world:
            lies.tell_all(world)
            findings = broken(world)
        wrong = [*lies.missed(findings)]
        self.show("\n".join([*report.of(findings), "", *wrong]))
        self.show(f"{len(lies.LIES)} lies, {len(wrong)} faults of the checks")
        return 1 if wrong else 0

    def show(self, text):
        self.console.print(text, markup=False, highlight=False)


if __name__ == "__main__":
    sys.exit(main())
