# SPDX-License-Identifier: Apache-2.0
"""Checks of the checks: drivers that do something else than they say, each of which must be found.

All take place in a calm world, in which nothing else happens. `LIES` are all, by name: what is
done, and the promises that have to be found broken, for this run or for the exporter.
"""

import os
import signal
import threading
import time
from typing import NamedTuple

from support.chaos.plan import Act
from support.chaos.settings import ChaosSettings

LINES, AT = 150, 60
SECONDS = 30.0
# Of these checks no exporter must be accused: the end of a run may be noticed by a look alone,
# which comes every five seconds.
SETTINGS = ChaosSettings(lag=6.0)


class Lie(NamedTuple):
    play: object
    found: set
    """Of these promises, every one."""


def telling(lie, lines=LINES, **more):
    """A training whose own log is untrue in one line, or in `lie_lines`."""

    def play(world, act):
        node = world.node()
        world.train(node, [(act.id(), lines)], lie=lie, **{"lie_at": AT, **more}).wait()

    return play


def unnoticed_nan(world, act):
    world.train(world.node(), [(act.id(), 2 * LINES)], nan_from=40).wait()


def elsewhere(world, act):
    root = world.path("outside")
    world.train(world.node(), [(act.id(), LINES)], root=root).wait()


def frozen_exporter(world, act):
    time.sleep(10)
    pid = world.exporter.process.pid
    os.kill(pid, signal.SIGSTOP)
    time.sleep(3)
    os.kill(pid, signal.SIGCONT)


def traceback_in_log(world, act):
    with world.exporter.log_path.open("a") as log:
        log.write("Traceback (most recent call last):\n")


LIES = {
    "unlogged": Lie(
        telling("unlogged", lie_lines=80), {"sent: false", "counts: too many", "counts: increase"}
    ),
    "unwritten": Lie(telling("unwritten", lie_lines=60), {"sent: lost", "counts: too few"}),
    # The last line: its values stay on the page until the run's end.
    "altered": Lie(
        telling("altered", lie_at=LINES - 1),
        {"sent: lost", "sent: false", "values: never logged"},
    ),
    "doubled": Lie(telling("doubled"), {"sent: doubled", "counts: too many"}),
    "held": Lie(telling("held"), {"values: not the newest", "counts: too few"}),
    "unfinished": Lie(telling("unfinished", 60, idle=18), {"ended: after the grace"}),
    "nan": Lie(unnoticed_nan, {"alerts: PrimusLensLossNotFinite"}),
    "elsewhere": Lie(elsewhere, {"present: no series", "sent: lost"}),
    "frozen": Lie(frozen_exporter, {"health: slow /metrics", "health: slow /-/healthy"}),
    "traceback": Lie(traceback_in_log, {"health: traceback"}),
}
HONEST = "honest"
EXPORTER = {"frozen", "traceback"}


def honest(world, act):
    telling("")(world, act)


def tell_all(world):
    """Each lie and an honest training, all at once; returns when they are over."""
    names = [HONEST, *LIES]
    plays = [honest, *(lie.play for lie in LIES.values())]
    acts = [Act(number, name, 0.0, "lies") for number, name in enumerate(names)]
    threads = [
        threading.Thread(target=play, args=(world, act), daemon=True)
        for play, act in zip(plays, acts, strict=True)
    ]
    for each in threads:
        each.start()
    for each in threads:
        each.join(SECONDS * 3)


def missed(findings):
    """What is wrong with the checks: lies that were not found, and honest runs accused."""
    found = {}
    for each in findings:
        found.setdefault(each.kind, set()).add(each.promise)
    for name, lie in LIES.items():
        got = found.get("" if name in EXPORTER else name, set())
        if left := lie.found - got:
            yield f"{name}: not found: {', '.join(sorted(left))}; found: {sorted(got)}"
    for each in found.get(HONEST, ()):
        yield f"an honest training is accused of {each}"
