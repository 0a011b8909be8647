# SPDX-License-Identifier: Apache-2.0
"""`make hostile-hook`: random lives of a process, natively and hooked, with a progress bar."""

import os
import queue
import sys
import tempfile
import threading
from pathlib import Path

from rich.console import Console
from rich.progress import track

from support import mount_namespace, seeded_command
from support.hostile_hook import generate, places, shrink
from support.hostile_hook.compare import Difference, compare
from support.hostile_hook.running import Worker

HELP = f"""
Random lives of a process run twice, once with wandb alone and once with the hook: they log,
fork, spawn and exec, are signalled and killed, lose their descriptors, fill, freeze and remove
their disk, and log values that raise. What wandb alone leaves is right by definition.
Of 100 lives, {generate.OFFLINE} have an offline run (the others a disabled one),
{generate.INTERPRETERS} start an interpreter and more of them (the others are forked from a
process that has imported wandb), and 40 have an output path that is odd, full, frozen or not
writable. One that breaks a rule is shrunk, once for each kind of difference:

  1 the same end: exit status or signal, and never a hang
  2 the same output, but for our own lines on stderr
  3 the same exceptions, answers, and ends of children
  4 each file of the user's is the same, byte for byte
  5 W&B keeps what it keeps natively
  6 each line of the records is whole and JSON, and there once
  7 each call that returned is recorded, unless its disk was failing
  8 at most one warning of a kind, and no internal error

Interrupted, it reports what it has found so far. File systems are mounted in a namespace of its
own, which needs root; without it, lives on file systems of their own are left out.
"""
EXAMPLES = """
examples:
  make hostile-hook                     10,000 lives, a new seed each time
  make hostile-hook N=500 SEED=7        the same 500 each time

  cd tests
  python -m support.hostile_hook --life 7-123              one of them, with both outcomes
  python -m support.hostile_hook --life 7-123 --lines 0,4  these lines of it alone
  python -m support.hostile_hook 100 --native              validate the comparison itself
"""
LAST_BY_NATIVE = 5  # of the rules: the others look at the hooked life alone
JOBS = 2 * (os.cpu_count() or 1)  # many of them sleep


def arguments():
    parser = seeded_command.parser("support.hostile_hook", HELP, EXAMPLES, count=10_000, of="lives")
    parser.add_argument("--life", help="the name of the only one")
    parser.add_argument("--lines", help="their numbers, from 0 on")
    parser.add_argument("--most", type=int, default=20, help="kinds of differences to be shrunk")
    parser.add_argument("--jobs", type=int, default=JOBS, help="lives at once")
    return parser.parse_args()


def main():
    asked = arguments()
    mount_namespace.enter("support.hostile_hook")
    console = Console(width=None if sys.stdout.isatty() else 170)
    with tempfile.TemporaryDirectory(
        prefix="primus-lens-hostile-", ignore_cleanup_errors=True
    ) as directory:
        Path(directory).chmod(0o755)  # lives that go on as another user pass through it
        stress = Stress(console, Path(directory), asked)
        return stress.one() if asked.life else stress.many()


class Stress:
    """One run of the command."""

    def __init__(self, console, directory, asked):
        self.console, self.directory, self.asked = console, directory, asked
        self.failed, self.unstable, self.ended = [], 0, 0
        self.kinds = {}  # of differences: (life, difference) of each

    def one(self):
        """Show one life."""
        life = generate.life(self.asked.life)
        if self.asked.lines:
            life = life.only(map(int, self.asked.lines.split(",")))
        worker = Worker(self.directory / "0")
        native, hooked = worker.both(life)
        broken = compare(native, hooked)
        worker.close()
        self.show(f"{life}\n\n{life.script}\n{native}\n\n{hooked}\n")
        self.show("\n".join(map(str, broken)) or "no difference")
        return 1 if broken else 0

    def many(self):
        asked = self.asked
        every = generate.lives(asked.seed, asked.count)
        self.lives = [life for life in every if places.possible(life.place)]
        self.show(f"{asked.count} lives of seed {asked.seed}")
        if len(self.lives) < len(every):
            self.show(f"{len(every) - len(self.lives)} of them need what this machine has not")
        try:
            self.have_all()
        except KeyboardInterrupt:
            asked.most = 0
            self.show("interrupted")
        self.report()
        self.show(f"{len(self.failed)} of {self.ended} lives differ; {self.unstable} natively do")
        return 1 if self.failed else 0

    def have_all(self):
        lives, done = queue.SimpleQueue(), queue.SimpleQueue()
        for life in self.lives:
            lives.put(life)
        for number in range(self.asked.jobs):
            thread = threading.Thread(target=self.work, args=(number, lives, done), daemon=True)
            thread.start()
        count = len(self.lives)
        for _ in track(range(count), "living", console=self.console):
            life, broken, unstable, stderr = done.get()
            self.ended += 1
            self.unstable += unstable
            self.note(life, broken, stderr)
            if not self.console.is_terminal and self.ended % (count // 10 or 1) == 0:
                self.show(f"{self.ended} of {count} lives, {len(self.failed)} differ")

    def note(self, life, broken, stderr):
        self.failed += [life] if broken else []
        for each in broken:
            kind = each[:2]
            if kind not in self.kinds:
                self.show(f"{life.name}: {each}\n  stderr ends with {stderr[-600:]!r}")
            self.kinds.setdefault(kind, []).append((life, each))

    def work(self, number, lives, done):
        """One worker's share, in a thread."""
        worker = Worker(self.directory / str(number))
        while not lives.empty():
            life = lives.get()
            try:
                done.put((life, *examined(worker, life, native=self.asked.native)))
            except Exception as error:  # noqa: BLE001 the others go on
                failed = Difference(0, "not lived", f"{type(error).__name__}: {error}")
                done.put((life, [failed], False, ""))
        worker.close()

    def report(self):
        """Each kind of difference with the smallest program of one life."""
        worker = Worker(self.directory / "shrinking")
        for number, (kind, found) in enumerate(self.kinds.items()):
            life, difference = found[0]
            names = " ".join(life.name for life, _ in found[:8])
            self.show(f"\n{len(found)} lives: {kind}\n  {names}\n  {life}\n  {difference}")
            if number < self.asked.most and not self.asked.native:
                self.show(smallest(worker, life, difference))
        worker.close()

    def show(self, text):
        self.console.print(text, markup=False, highlight=False)


def examined(worker, life, *, native=False):
    """(the differences, whether native differs from itself, what the hooked one wrote)."""
    one, other = worker.run(life, hooked=False), worker.run(life, hooked=not native)
    broken = compare(one, other)
    if native or all(each.rule > LAST_BY_NATIVE for each in broken):
        return broken, False, other.stderr
    again = [compare(one, worker.run(life, hooked=False)) for _ in range(2)]
    unstable = {each.rule for found in again for each in found}
    return [each for each in broken if each.rule not in unstable], bool(unstable), other.stderr


def smallest(worker, life, difference):
    """A program to look at, and the command to repeat it."""
    found = shrink.shrunk(worker, life, difference)
    repeat = f"python -m support.hostile_hook --life {life.name}"
    if found is None:
        return f"  not seen again\n  {repeat}\n\n{life.script}"
    kept, broken = found
    lines = ",".join(map(str, kept))
    return f"  {repeat} --lines {lines}\n\n{life.only(kept).script}\n  {broken[0]}"


if __name__ == "__main__":
    sys.exit(main())
