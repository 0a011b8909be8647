# SPDX-License-Identifier: Apache-2.0
"""All runs of this node and the exporter's own health, as one JSON document.

Made at most once a second, however many look; hints, which take longer, every ten seconds.
While it is made the exporter goes on: whatever is found in the store may be gone at the
next pause, and is looked up again.
"""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from operator import attrgetter

import msgspec
from primus_lens_hook import __version__

from primus_lens_exporter.live import run_view
from primus_lens_exporter.live.hints import hints, speed
from primus_lens_exporter.live.run_view import Group, Member, identify, run_of
from primus_lens_exporter.live.schema import Exporter, Hint, Run, Snapshot
from primus_lens_exporter.model.labels import Labels
from primus_lens_exporter.reading.readers import Readers
from primus_lens_exporter.reading.time_slices import in_slices
from primus_lens_exporter.series.run_series import RunSeries
from primus_lens_exporter.series.store import Key, Store

SHOWN = 1_000  # runs, each on one rank
BODY_SECONDS = 1.0
HINTS_SECONDS = 10.0


class Overview:
    """`body` is what `/api/v1/runs` answers; `run` and `rank` find what it named."""

    def __init__(self, store: Store, readers: Readers, health: Callable[[], Exporter]) -> None:
        self._store = store
        self._readers = readers
        self._health = health
        self._making = asyncio.Lock()
        self._body = b""
        self._made_at = self._hinted_at = -HINTS_SECONDS
        self._speeds: dict[Key, float | None] = {}
        self._hints: dict[tuple[Group, tuple[tuple[bool, bool], ...]], list[Hint]] = {}

    async def body(self) -> bytes:
        """A Snapshot, as JSON."""
        async with self._making:
            if time.monotonic() - self._made_at >= BODY_SECONDS:
                await in_slices(self._make())
            return self._body

    def run(self, run_id: str) -> list[tuple[str, RunSeries]]:
        """The ranks of the run with this id, each with its own id; none where it is gone."""
        keys = [key for key in self._store.runs if identify(run_of(key)) == run_id]
        return [(identify(key), self._store.runs[key]) for key in keys]

    def rank(self, rank_id: str) -> tuple[str, RunSeries] | None:
        """A run's id and its series on the rank with this id; None where it is gone."""
        for key, series in self._store.runs.items():
            if identify(key) == rank_id:
                return key[1], series
        return None

    def _make(self) -> Iterator[None]:
        now = time.time()
        if time.monotonic() - self._hinted_at >= HINTS_SECONDS:
            self._hinted_at = time.monotonic()
            self._speeds, self._hints = {}, {}
        current = newest_of_each_rank(self._store.runs)
        runs: list[Run] = []
        for run, keys in grouped(shown(self._store.runs)).items():
            members = [
                run_view.member(
                    key,
                    series,
                    current=key in current,
                    speed=self._speed(key, series, now),
                    stuck=self._readers.stuck(series.holders),
                )
                for key in keys
                if (series := self._store.runs.get(key)) is not None
            ]
            if members:
                runs.append(run_view.describe(members, self._hinted(run, members, now)))
            yield
        runs.sort(key=attrgetter("last_record"), reverse=True)
        left_out = len(self._store.runs) - sum(len(run.ranks) for run in runs)
        self._body = msgspec.json.encode(Snapshot(now, __version__, self._health(), runs, left_out))
        self._made_at = time.monotonic()

    def _speed(self, key: Key, series: RunSeries, now: float) -> float | None:
        if key not in self._speeds:
            self._speeds[key] = speed(series.history, now)
        return self._speeds[key]

    def _hinted(self, run: Group, members: list[Member], now: float) -> list[Hint]:
        known = run, tuple((each.now.over, each.now.stuck) for each in members)
        if known not in self._hints:
            self._hints[known] = hints([each.now for each in members], now)
        return self._hints[known]


def shown(runs: Mapping[Key, RunSeries], most: int = SHOWN) -> list[Key]:
    """All; where they are too many, the newest of each tenant in turn.

    So no pod can hide another's runs behind its own.
    """
    if len(runs) <= most:
        return list(runs)
    of_tenant: defaultdict[int, list[Key]] = defaultdict(list)
    for key, series in sorted(runs.items(), key=lambda each: -each[1].newest):
        of_tenant[id(series.quota)].append(key)
    turns = [(turn, key) for keys in of_tenant.values() for turn, key in enumerate(keys)]
    turns.sort(key=lambda each: each[0])
    return [key for _, key in turns[:most]]


def grouped(keys: list[Key]) -> dict[Group, list[Key]]:
    """The ranks of each run, in the order of ranks."""
    found: defaultdict[Group, list[Key]] = defaultdict(list)
    for key in sorted(keys, key=lambda key: run_view.place(key[0])):
        found[run_of(key)].append(key)
    return found


def newest_of_each_rank(runs: Mapping[Key, RunSeries]) -> set[Key]:
    """The run that each rank logged to last: it has left the others."""
    found: dict[Labels, Key] = {}
    for key, series in runs.items():
        known = found.get(key[0])
        if known is None or runs[known].newest < series.newest:
            found[key[0]] = key
    return set(found.values())
