# SPDX-License-Identifier: Apache-2.0
"""Hints: the conditions of four alerts, evaluated on the exporter's own recent history.

The definitions are those of the rules (docs/alerts.md), without the time for which an alert
has to last before it is sent: a hint is there at once. Pure: no files, no clock.
"""

from __future__ import annotations

import math
import statistics
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

from primus_lens_exporter.live.schema import Hint
from primus_lens_exporter.series.recent_history import EVERY_SECONDS, RecentHistory

STALLED_SECONDS = 600.0
SPEED_SECONDS = 300.0  # over which steps a second are measured
MOVED_SECONDS = 3600.0  # a rank that stood still for longer does not take part
STRAGGLER_RATIO = 1.5
SPREAD_SECONDS = 3600.0
SPREAD_OFFSET_SECONDS = 300.0  # the spike itself must not widen the spread
SPREAD_CHANGES = 20
SPREAD_DEVIATIONS = 6.0


class RankNow(NamedTuple):
    """One rank of a run, as far as hints ask for it."""

    id: str
    name: str
    """NODE_RANK/LOCAL_RANK."""

    last_record: float
    """Unix seconds."""

    over: bool
    """Whether it has finished, or gone over to another run."""

    losses: Mapping[str, float]
    """The newest value of each loss, by its key."""

    history: RecentHistory | None
    speed: float | None
    """Steps a second, see `speed`."""

    stuck: bool = False
    """Whether its file system does not answer: nobody knows whether it is silent."""


def speed(history: RecentHistory | None, now: float) -> float | None:
    """Steps a second, as `primus_lens:steps_per_second` has them; None while not known."""
    if history is None:
        return None
    scraped = history.window(history.steps, now - SPEED_SECONDS, now)
    steps = [step for step in scraped if math.isfinite(step)]
    if len(steps) < 2:
        return None
    try:
        slope = statistics.linear_regression(range(len(steps)), steps).slope
    except OverflowError:  # a pod may log any number
        return None
    return max(0.0, slope / EVERY_SECONDS)


def hints(ranks: Sequence[RankNow], now: float) -> list[Hint]:
    """All that looks wrong with one run; `now` in Unix seconds."""
    return [*_not_finite(ranks), *_spikes(ranks, now), *_stalled(ranks, now), *_slow(ranks, now)]


def _not_finite(ranks: Sequence[RankNow]) -> Iterator[Hint]:
    found: defaultdict[str, list[RankNow]] = defaultdict(list)
    for rank in ranks:
        for key, value in rank.losses.items():
            if not math.isfinite(value):
                found[key].append(rank)
    for key, where in found.items():
        text = f"{key} is NaN or infinite on {_named(where)}."
        yield _hint("loss_not_finite", "PrimusLensLossNotFinite", text, where)


def _spikes(ranks: Sequence[RankNow], now: float) -> Iterator[Hint]:
    found: defaultdict[str, list[RankNow]] = defaultdict(list)
    for rank in ranks:
        for key, value in rank.losses.items():
            if rank.history is not None and is_spike(rank.history, key, value, now):
                found[key].append(rank)
    for key, where in found.items():
        text = (
            f"{key} is more than six standard deviations above its mean of the last hour on "
            f"{_named(where)}."
        )
        yield _hint("loss_spike", "PrimusLensLossSpike", text, where)


def is_spike(history: RecentHistory, key: str, value: float, now: float) -> bool:
    """Whether a loss is far above the hour before the last five minutes."""
    if key not in history.losses:
        return False
    end = now - SPREAD_OFFSET_SECONDS
    before = list(history.window(history.losses[key], end - SPREAD_SECONDS, end))
    changes = sum(a != b for a, b in pairwise(before))
    if changes <= SPREAD_CHANGES:
        return False
    try:
        mean = math.fsum(before) / len(before)
        variance = math.fsum((each - mean) * (each - mean) for each in before) / len(before)
    except (OverflowError, ValueError):  # a pod may log any number, and both infinities
        return False
    return value > mean + SPREAD_DEVIATIONS * math.sqrt(variance)


def _stalled(ranks: Sequence[RankNow], now: float) -> Iterator[Hint]:
    still = [rank for rank in ranks if not rank.over]
    silent = now - max((rank.last_record for rank in still), default=now)
    if silent > STALLED_SECONDS and not any(rank.stuck for rank in still):
        text = f"No rank has logged for {int(silent // 60)} minutes, and the run has not finished."
        yield _hint("training_stalled", "PrimusLensTrainingStalled", text, still)


def _slow(ranks: Sequence[RankNow], now: float) -> Iterator[Hint]:
    measured = _measured(ranks, now)
    median = statistics.median(speed for _, speed in measured) if measured else 0.0
    slow = [rank for rank, speed in measured if median > STRAGGLER_RATIO * speed]
    where = [rank for rank in slow if _moved(rank, now) and not rank.stuck]
    if where:
        text = f"The median rank is more than {STRAGGLER_RATIO} times as fast as {_named(where)}."
        yield _hint("rank_straggler", "PrimusLensRankStraggler", text, where)


def _measured(ranks: Sequence[RankNow], now: float) -> list[tuple[RankNow, float]]:
    known = [(rank, rank.speed) for rank in ranks if rank.speed is not None]
    return [(rank, speed) for rank, speed in known if _known_for_long(rank, now)]


def _known_for_long(rank: RankNow, now: float) -> bool:
    """Whether its speed is that of five minutes: that of a few samples tells nothing."""
    if rank.history is None or not rank.history.steps:
        return False
    # The first sample with a step: rows without one, and late rows, may have come before.
    return rank.history.at[-len(rank.history.steps)] <= now - SPEED_SECONDS


def _moved(rank: RankNow, now: float) -> bool:
    """Whether it has made a step within the hour."""
    assert rank.history is not None
    steps = rank.history.window(rank.history.steps, now - MOVED_SECONDS - SPEED_SECONDS, now)
    return any(later > earlier for earlier, later in pairwise(steps))


def _hint(kind: str, alert: str, text: str, where: Sequence[RankNow]) -> Hint:
    return Hint(kind, alert, text, tuple(rank.id for rank in where))


def _named(ranks: Sequence[RankNow]) -> str:
    """`rank 0/1`, or `3 ranks: 0/1, 0/2, 0/3`."""
    names = [rank.name for rank in ranks]
    if len(names) == 1:
        return f"rank {names[0]}"
    some = ", ".join(names[:8]) + (" …" if len(names) > 8 else "")
    return f"{len(names)} ranks: {some}"
