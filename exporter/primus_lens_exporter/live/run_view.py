# SPDX-License-Identifier: Apache-2.0
"""A run with its ranks, as the live page and `primus-lens top` show it: docs/page.md.

Pure: from the series of its ranks to what is sent, no files, no clock.
"""

from __future__ import annotations

import hashlib
import math
from array import array
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from primus_lens_exporter.live.hints import RankNow
from primus_lens_exporter.live.schema import Headline, Hint, Rank, Run, Value
from primus_lens_exporter.model.labels import Labels
from primus_lens_exporter.model.record import NON_FINITE
from primus_lens_exporter.series.run_series import RunSeries
from primus_lens_exporter.series.store import Key

SPARK_POINTS = 60

Group = tuple[str, str]
"""What makes ranks one run, as in the rules: namespace and run id."""


class Member(NamedTuple):
    """A run on one rank, as it is in the store, and what hints say of it."""

    key: Key
    series: RunSeries
    now: RankNow


def number(value: float) -> Value:
    """As the records have it."""
    if math.isfinite(value):
        return value
    return next(name for name, each in NON_FINITE.items() if str(each) == str(value))


def identify(key: object) -> str:
    """An id that says nothing, fits into URLs and is the same after a restart."""
    return hashlib.blake2b(repr(key).encode(), digest_size=9).hexdigest()


def run_of(key: Key) -> Group:
    """The run that a rank belongs to."""
    labels, run_id = key
    return dict(labels).get("namespace", ""), run_id


def member(
    key: Key, series: RunSeries, *, current: bool, speed: float | None, stuck: bool
) -> Member:
    """`current` says that the rank has not gone over to another run."""
    labels = dict(key[0])
    now = RankNow(
        id=identify(key),
        name=f"{labels['node_rank']}/{labels['local_rank']}",
        last_record=series.newest,
        over=series.over or not current,
        losses=series.losses,
        history=series.history,
        speed=speed,
        stuck=stuck,
    )
    return Member(key, series, now)


def describe(members: Sequence[Member], hints: list[Hint]) -> Run:
    """One run, of at least one rank; `members` in the order of ranks."""
    newest = max(members, key=lambda each: each.now.last_record)
    facts, counts = _told(members)
    namespace, run_id = run_of(newest.key)
    step = _most(each.series.step for each in members)
    headline = _headline(newest.series)
    return Run(
        id=identify((namespace, run_id)),
        run_id=run_id,
        namespace=namespace,
        project=facts.get("project", ""),
        entity=facts.get("entity", ""),
        name=facts.get("name", ""),
        group=facts.get("group", ""),
        job_type=facts.get("job_type", ""),
        workload=facts.get("workload", ""),
        workload_kind=facts.get("workload_kind", ""),
        finished=all(each.series.over for each in members),
        step=None if step is None else number(step),
        records=sum(each.series.records for each in members),
        last_record=newest.now.last_record,
        steps_per_second=_most(each.now.speed for each in members),
        keys=max(each.series.key_count for each in members),
        headline=headline,
        spark=_spark(newest.series, headline),
        step_fix=dict(counts) or None,
        hints=hints,
        ranks=[_rank(each) for each in members],
    )


def place(labels: Labels) -> tuple[int, int, Labels]:
    """To sort ranks by."""
    known = dict(labels)
    return int(known["node_rank"]), int(known["local_rank"]), labels


def _told(members: Sequence[Member]) -> tuple[dict[str, str], Counter[str]]:
    """What W&B and Kubernetes know the run by, and the counters of the step fix of all ranks."""
    facts: dict[str, str] = {}
    counts: Counter[str] = Counter()
    for each in members:
        facts.update(each.series.info.labels)
        counts.update(each.series.info.step_fix)
    return facts, counts


def _most(values: Iterable[float | None]) -> float | None:
    return max((value for value in values if value is not None), default=None)


def _rank(each: Member) -> Rank:
    labels = dict(each.key[0])
    step = each.series.step
    return Rank(
        id=each.now.id,
        pod=labels.get("pod", ""),
        container=labels.get("container", ""),
        node=labels.get("node", ""),
        node_rank=labels["node_rank"],
        local_rank=labels["local_rank"],
        step=None if step is None else number(step),
        records=each.series.records,
        last_record=each.now.last_record,
        steps_per_second=each.now.speed,
        headline=_headline(each.series),
    )


def _headline(series: RunSeries) -> Headline | None:
    first = next(iter(series.losses.items()), None) or next(iter(series.values()), None)
    return None if first is None else Headline(first[0], number(first[1]))


def _spark(series: RunSeries, headline: Headline | None) -> list[float | None]:
    """The newest of the last hour's samples; of what is no loss none are kept."""
    if headline is None or series.history is None:
        return []
    values = series.history.losses.get(headline.key, array("d"))
    every = max(1, len(values) // SPARK_POINTS)
    newest_last = reversed([values[slot] for slot in range(len(values) - 1, -1, -every)])
    return [value if math.isfinite(value) else None for value in newest_last]
