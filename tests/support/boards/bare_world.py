# SPDX-License-Identifier: Apache-2.0
"""The world of a laptop: a directory, an exporter, a Prometheus, and nothing else."""

import contextlib

from support.boards.full_world import rules_file
from support.boards.playing import ranks_of
from support.boards.runs import (
    COMPOSER,
    MEGATRON,
    TORCHTITAN,
    Run,
    missing,
    nan,
    resumed,
    straggling,
)
from support.boards.scraping import Target
from support.boards.world import World

PAST, PLAYING = 40 * 60.0, 10.0
TWO = {"nodes": ("a", "b"), "ranks": 2}
RUNS = (
    Run("first", gpus="nvidia", speed=resumed),
    Run("second", keys=MEGATRON, change=nan),
    Run("third", keys=TORCHTITAN, conflicts=0.3, speed=straggling, **TWO),
    Run("fourth", keys=COMPOSER, change=missing, **TWO),
)


@contextlib.contextmanager
def bare_world(directory, recording):
    with contextlib.ExitStack() as stack:
        yield from BareWorld(directory, recording, stack).play(rules_file(directory))


class BareWorld(World):
    """Its parts live as long as the stack."""

    def __init__(self, directory, recording, stack):
        super().__init__(directory, PAST, PLAYING)
        for run in RUNS:
            volume = directory / "records" / run.id
            volume.mkdir(parents=True)
            exporter = stack.enter_context(self.exporter(volume))
            volumes = [volume] * len(run.nodes)
            self.ranks[exporter] = [*ranks_of(run, recording, volumes, self.start, self.end)]
            self.targets.append(Target("exporter", run.id, f"{exporter.url}/metrics"))
