# SPDX-License-Identifier: Apache-2.0
"""Programs that share a process, since its start costs more than a run."""

import re
from typing import NamedTuple

from support.differential import generate, running, source

SIZE = 20


class Pack(NamedTuple):
    """Programs that run one after the other in one process."""

    programs: tuple
    keep_duplicates: bool = False

    @property
    def script(self):
        return source.script(self.programs)

    def broken(self, python=None, *, hooked=True):
        """Run it natively and hooked; returns what is broken."""
        keep = self.keep_duplicates
        found = running.broken(self.script, python, keep_duplicates=keep, hooked=hooked)
        if python and wandb_of(python) < (0, 18):
            found = [each for each in found if not known_of_old(each)]
        return found


def packs(seed, count, python="", size=SIZE):
    """So many programs for this Python's wandb, in packs; every fourth keeps duplicates."""
    programs = generate.programs(seed, count, wandb_of(python))
    for number, first in enumerate(range(0, count, size)):
        yield Pack(tuple(programs[first : first + size]), number % 4 == 3)


def known_of_old(broken):
    """What the handler before wandb-core does not let us hold; docs/step-fix.md tells of it.

    Any definition of a metric, that of a late row too, ends the summaries of nested values there,
    an empty one among them. And an axis that no row had at the call of a late row cannot be kept
    out of it: there is no zero.
    """
    nested = broken.rule == 4 and ("deep" in broken.text or "native {}" in broken.text)
    return nested or (broken.rule == 2 and broken.text.endswith("no such column"))


def wandb_of(python):
    """The version of wandb in an environment of the matrix."""
    version = re.search(r"wandb(\d+)\.(\d+)\.(\d+)", python)
    return tuple(map(int, version.groups())) if version else generate.NEWEST
