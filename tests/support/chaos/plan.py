# SPDX-License-Identifier: Apache-2.0
"""Which acts, and when: drawn from a seed, the same for the same seed, length and kinds."""

import dataclasses
import random

from support.chaos.acts import ACTS, VOLUMES

LONGEST = 45.0  # seconds that an act takes; in a short run it begins at once
GLOBAL = {"restarts", "crashes", "scraper", "receiver", "clients"}
# How much more often than another kind: `starts` are what most of a node's life is.
WEIGHTS = {"backlogs": 0, "starts": 2, "restarts": 3, "crashes": 2, "stalls": 0.5, "hung": 0.7}


@dataclasses.dataclass
class Act:
    number: int
    kind: str
    at: float
    """Seconds from the beginning."""
    seed: str

    def __post_init__(self):
        self.random = random.Random(f"{self.seed} {self.number} {self.kind}")

    def __str__(self):
        return f"{self.kind}-{self.number} at {self.at:.0f} s"

    def id(self, number=0):
        """The id of one of its runs."""
        return f"{self.kind}-{self.number}-{number}"

    def play(self, world):
        ACTS[self.kind](world, self)


def plan(seed, seconds, kinds, every):
    """The acts, in the order of their times; a steady training is always the first."""
    drawn = random.Random(f"{seed} plan")
    chosen = [kind for kind in ACTS if kind in kinds and kind != "steady"]
    count = max(len(chosen), round(seconds / every))
    # Each kind once at least, then as often as its weight says.
    weights = [WEIGHTS.get(kind, 1) for kind in chosen]
    more = drawn.choices(chosen, weights, k=count - len(chosen)) if chosen else []
    acts = [Act(0, "steady", 0.0, seed)]
    acts += [Act(0, kind, _time(drawn, kind, seconds), seed) for kind in [*chosen, *more]]
    acts.sort(key=lambda act: act.at)
    return [Act(number, act.kind, act.at, seed) for number, act in enumerate(acts)]


def _time(drawn, kind, seconds):
    """Programs are killed at any time after the first seconds; other acts have time to end."""
    if kind == "backlogs":
        return drawn.uniform(0, 3)
    if kind in GLOBAL:
        return drawn.uniform(min(8.0, seconds / 3), max(10.0, seconds - 8))
    return drawn.uniform(0, max(1.0, seconds - LONGEST))


def volumes(acts):
    """The volumes beside `records` that they need."""
    return sorted({VOLUMES[act.kind] for act in acts if act.kind in VOLUMES})
