# SPDX-License-Identifier: Apache-2.0
"""What was written, when, and when a run was over: by the drivers' own logs, and nothing else."""

import bisect
import dataclasses
import functools
import json
import math
from collections import defaultdict
from typing import NamedTuple

NEVER = math.inf


class Who(NamedTuple):
    """One run of one rank, as its series are labelled."""

    node_rank: str
    local_rank: str
    run_id: str

    @property
    def kind(self):
        """The act that it belongs to."""
        return self.run_id.partition("-")[0]


@dataclasses.dataclass
class Line:
    """`at` and `done`: when its write began and had returned; NEVER where its process was killed
    in between, or where nobody can have read it."""

    n: int
    time: float
    step: int
    data: dict
    at: float
    done: float = NEVER
    needed: bool = True
    """Whether remote write has to have it."""


class Life:
    """All that happened to one run of one rank."""

    def __init__(self, who, volume):
        self.who, self.volume = who, volume
        self.lines = []
        self.begins, self.finishes = [], []
        self.anew = []
        """When its directory was removed and begun again."""
        self.by_time = False
        """Whether several processes wrote it, whose lines are in order by their time alone."""
        self.stepped = False
        """Whether its clock was set."""
        self.count_up_to = 0
        """Of a copy: how many lines the run has elsewhere."""

    @functools.cached_property
    def order(self):
        """The lines in the order in which they became the newest. Ask when all is over."""
        return sorted(self.lines, key=lambda line: line.time) if self.by_time else self.lines

    @functools.cached_property
    def _begun(self):
        return sorted(line.at for line in self.lines)

    @functools.cached_property
    def _written(self):
        return sorted(line.done for line in self.lines if line.needed)

    def begun(self, at):
        """How many lines can have been there at a time."""
        return bisect.bisect_right(self._begun, at)

    def written(self, at):
        """How many lines were certainly there."""
        return bisect.bisect_right(self._written, at)

    @property
    def first_done(self):
        return self._written[0] if self._written else NEVER

    @property
    def last_at(self):
        return self._begun[-1] if self.lines else -NEVER

    def over(self, known, now, grace):
        """Whether, by what could be known at `known`, the run's grace is past, and `now` still."""
        ends = [end for end in self.finishes if end + grace < known]
        begins = [begin for begin in self.begins if begin <= now]
        return bool(ends) and max(begins, default=0) <= max(ends)

    def logging(self, at, lag):
        """Whether it has been going on for `lag` at a time, and goes on."""
        events = [(when, False) for when in self.finishes] + [(when, True) for when in self.begins]
        past = [event for event in sorted(events) if event[0] <= at]
        return bool(past) and past[-1][1] and past[-1][0] + lag <= at <= self.last_at


class Oracle:
    """The lives of all runs, by `Who`."""

    def __init__(self):
        self.lives = {}

    def life(self, node, local, run_id, volume="records"):
        who = Who(str(node), str(local), run_id)
        if who not in self.lives:
            self.lives[who] = Life(who, volume)
        return self.lives[who]

    def read(self, path):
        """Take over the log of one process, from its beginning."""
        waiting, where = {}, None
        for text in path.read_bytes().split(b"\n")[:-1]:
            what, at, *more = json.loads(text)
            if what == "who":
                where = more
            elif what == "line":
                n, time, step, data, run_id = more
                waiting[n] = Line(n, time, step, data, at), run_id
                self._life(where, run_id).lines.append(waiting[n][0])
            elif what == "done":
                waiting[more[0]][0].done = at
            elif what == "lost":
                line, run_id = waiting.pop(more[0])
                self._life(where, run_id).lines.remove(line)
            else:
                life = self._life(where, more[0])
                (life.begins if what == "begin" else life.finishes).append(at)
        for line, _ in waiting.values():
            line.needed = line.done != NEVER

    def _life(self, where, run_id):
        node, local, volume = where
        return self.life(node, local, run_id, volume)

    def derive(self, source, node, passes):
        """The life of a copy: `passes` are (before, after, {n}) of each time it was copied."""
        life = self.life(node, source.who.local_rank, source.who.run_id)
        known = {line.n: line for line in source.lines}
        seen = defaultdict(lambda: (NEVER, NEVER))
        for before, after, numbers in passes:
            for n in numbers:
                seen[n] = min(seen[n], (before, after))
        for n in sorted(seen):
            if n in known:
                at, done = seen[n]
                life.lines.append(dataclasses.replace(known[n], at=at, done=done, needed=True))
        life.begins += source.begins[:1]
        life.count_up_to = len(source.lines)
        life.stepped, life.by_time = source.stepped, source.by_time
        life.finishes += [end for end in source.finishes if end <= passes[-1][0]]
        return life
