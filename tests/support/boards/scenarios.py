# SPDX-License-Identifier: Apache-2.0
"""Made-up trainings at the edges of a fault, as Prometheus and as the exporter see them."""

import math
import random

from primus_lens_exporter.live.hints import RankNow, speed
from primus_lens_exporter.model.record import Record
from primus_lens_exporter.series.recent_history import EVERY_SECONDS, RecentHistory

SLOTS = 449  # of ten seconds: almost 75 minutes
KEYS = "loss", "eval/loss"


class Rank:
    """One rank of one run. `logged[slot]`: step and losses, or None where it logs nothing."""

    def __init__(self, run, local, place, logged):
        self.run, self.local, self.place = run, local, place
        self.logged = logged

    def seen(self, slot):
        """What a scrape finds: time, step, losses, each the newest one; or None."""
        known = [number for number in range(slot + 1) if self.logged[number] is not None]
        if not known:
            return None
        losses = {}
        for number in known:
            losses |= self.logged[number][1]
        return known[-1] * EVERY_SECONDS, self.logged[known[-1]][0], losses

    def now(self, now, others):
        """The same as hints take it, at a time in seconds."""
        slot = int(now // EVERY_SECONDS)
        history, losses = RecentHistory(), {}
        for key in KEYS:
            history.add_loss(key)
        for number, logged in enumerate(self.logged[: slot + 1]):
            if logged is not None:
                step, data = logged
                losses |= data
                history.take([Record(number * EVERY_SECONDS, data, step)], step, dict(losses))
        at, _, losses = self.seen(slot)
        newer = [each.seen(slot) for each in others if each.place == self.place]
        over = any(each is not None and each[0] > at for each in newer)
        rate = speed(history, now)
        return RankNow(f"{self.local}", f"0/{self.local}", at, over, losses, history, rate)


# What a run is like; the lists have different lengths, so that most meet each other in some run.
EVERY = 1, 1, 3, 1, 6, 17, 18, 30  # slots from one record to the next
FACTORS = 0.4, 0.6, 0.66, 0.665, 0.668, 0.7, 1.0  # of a slow rank's speed
QUIET = 0, 59, 60, 61, 0, 62, 0, 120, 0, 0, 0  # slots since the last record of all
SPIKES = 1.0, 1.3, 1.5, 1.6, 1.64, 1.66, 1.68, 1.7, 1.72, 1.75, 1.8, 1.9, 3.0
SPIKED = 6, 12, 24, 36  # slots
BAD = None, None, (SLOTS - 31, SLOTS), (SLOTS - 200, SLOTS - 190), None  # from when to when NaN


def run(seed):
    """The ranks of one run, and of one that took its place, if any did."""
    chance = random.Random(seed)
    every, factor, quiet, spike, spiked, bad = (
        of[seed % len(of)] for of in (EVERY, FACTORS, QUIET, SPIKES, SPIKED, BAD)
    )
    slow, still = chance.randrange(4), chance.choice([None, None, chance.randrange(4)])
    since, begins = chance.randrange(SLOTS), {4: SLOTS - 30, 6: SLOTS - 1}.get(seed % 10, 0)
    ranks = []
    for local in range(4):
        logged, step = [], 0.0
        for slot in range(SLOTS):
            step += 10 * (factor if local == slow and slot >= since else 1)
            loss = 2 - slot / 900 + chance.gauss(0, 0.05)
            loss *= spike if slot >= SLOTS - spiked and local < 2 else 1
            loss = math.nan if bad and bad[0] <= slot < bad[1] and local == 1 else loss
            losses = {KEYS[0]: loss} | ({KEYS[1]: loss} if slot % 30 == 0 else {})
            silent = begins > slot or slot >= SLOTS - quiet or (local == still and slot >= since)
            logged.append(None if silent or slot % every else (step, losses))
        ranks.append(Rank(f"r{seed}", local, (seed, local), logged))
    return ranks + (_successors(ranks, SLOTS - quiet, chance) if quiet and not seed % 2 else [])


def _successors(ranks, quiet, chance):
    """What was killed goes on as another run, in the same places or in some of them."""
    taken = ranks[: chance.choice([1, 4])]
    row = (1.0, {KEYS[0]: 1.0})
    logged = [row if slot >= quiet + 2 else None for slot in range(SLOTS)]
    return [Rank(f"{each.run}-again", each.local, each.place, logged) for each in taken]
