# SPDX-License-Identifier: Apache-2.0
"""A life: lines of a program, the place that it runs in, and how it starts."""

import re
import textwrap
from typing import NamedTuple

from primus_lens_hook import contract

ABRUPT = ("os._exit", "kill", "terminate", "abort", "segfault")
ABRUPT_LINES = ("become_program(", *(f'leave("{way}"' for way in ABRUPT))


class Life(NamedTuple):
    """Everything that decides how a life goes, but for the hook."""

    name: str
    lines: tuple
    place: str = "plain"  # of the output path (`places`)
    mode: str = "disabled"  # wandb's
    starts: str = "forked"  # from a process that has imported wandb, or as an "interpreter"
    closed: tuple = ()  # the standard descriptors that it starts without
    env: tuple = ()  # of (name, value): settings of the hook

    @property
    def script(self):
        body = textwrap.indent("\n".join(self.lines) or "pass", "    ")
        head = "from support.hostile_hook.actions import *"
        return f'{head}\n\nif __name__ == "__main__":\n{body}\n'

    @property
    def ends_abruptly(self):
        """Whether nothing of the interpreter's own end runs."""
        return any(line.startswith(ABRUPT_LINES) for line in self.lines)

    @property
    def names_steps(self):
        """Whether a row is logged at a step that does not depend on how many came before."""
        return any(re.match(r"rows\(\d+, \d", line) for line in self.lines)

    @property
    def cuts_writes_short(self):
        """Whether a write may end in the middle: daemon threads do, with the interpreter.

        Among them our sampler, in children that end by os._exit too.
        """
        threads = ("daemon_thread(", "multiprocess(")
        samples = contract.ENV_ENHANCE_METRICS in dict(self.env)
        return samples or self.ends_abruptly or any(line.startswith(threads) for line in self.lines)

    def only(self, kept):
        """The lines of these numbers."""
        return self._replace(lines=tuple(self.lines[number] for number in kept))

    def __str__(self):
        parts = [self.place, self.mode, self.starts]
        parts += [f"without descriptors {self.closed}"] if self.closed else []
        parts += [f"{name}={value}" for name, value in self.env]
        return f"life {self.name}: " + ", ".join(parts)
