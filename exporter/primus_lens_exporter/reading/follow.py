# SPDX-License-Identifier: Apache-2.0
"""The loop that reads what is new, in slices so short that no scrape waits.

Four times a second: hear what has happened, find volumes, ranks and files where something
may have, and read each tenant's share. Nothing in here waits for the Kubernetes API.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from operator import attrgetter

from primus_lens_exporter.reading.consumer import Consumer
from primus_lens_exporter.reading.counts import Counts
from primus_lens_exporter.reading.faults import Isolated
from primus_lens_exporter.reading.rank import RankFiles
from primus_lens_exporter.reading.settings import ReadingSettings
from primus_lens_exporter.reading.sources import Source
from primus_lens_exporter.reading.time_slices import in_slices
from primus_lens_exporter.reading.volume import Volume
from primus_lens_exporter.reading.watcher import CHANGED, Watcher

TICK_SECONDS = 0.25
REPORT_SECONDS = 1.0
READY_SECONDS = 30.0  # somebody who never stops writing must not keep us from being ready

log = logging.getLogger(__name__)


class Follower:
    """Follows every rank of every source for all consumers, until it is cancelled."""

    def __init__(
        self,
        sources: Sequence[Source],
        consumers: Sequence[Consumer],
        settings: ReadingSettings,
        counts: Counts,
        watcher: Watcher,
    ) -> None:
        self.ready = False
        """Whether the first consumer has had everything that was there at the start."""
        self._sources = sources
        self._consumers = consumers
        self._settings = settings
        self._counts = counts
        self._watcher = watcher
        self._volumes: dict[Volume, dict[str, RankFiles]] = {}
        self._leaving: dict[RankFiles, float] = {}
        self._report_at = 0.0
        self._began = time.monotonic()

    async def run(self) -> None:
        """Tick for ever."""
        while True:
            now = time.monotonic()
            await in_slices(self.tick(now))
            await asyncio.sleep(max(0.0, now + TICK_SECONDS - time.monotonic()))

    def tick(self, now: float) -> Iterator[None]:
        """Find and read what is new, in short steps; `now` is monotonic."""
        yield from self._tick(now)
        if not self.ready:
            waiting = any(rank.schedule.due(now) and not rank.is_current for rank in self._ranks())
            self.ready = not waiting or now - self._began > READY_SECONDS

    def close(self) -> None:
        """Close every file."""
        for rank in self._ranks():
            rank.close()
        for source in self._sources:
            source.close()
        self._watcher.close()

    def _ranks(self) -> Iterator[RankFiles]:
        for ranks in self._volumes.values():
            yield from ranks.values()
        yield from self._leaving

    def _tick(self, now: float) -> Iterator[None]:
        self._watcher.poll()
        yield from self._find(now)
        awake = [rank for rank in self._ranks() if rank.schedule.wake_at <= now]
        for rank in sorted(awake, key=attrgetter("schedule.scanned_at")):
            if rank.scan_due(now):
                with Isolated(self._counts, rank.path):
                    rank.scan(now)
                yield
        yield from self._read([rank for rank in awake if rank.schedule.due(now)], now)
        for rank in awake:
            rank.rest(now)
        self._let_go(now)
        for source in self._sources:
            source.release()
        if now >= self._report_at:
            self._report_at = now + REPORT_SECONDS
            self._report(now)

    def _find(self, now: float) -> Iterator[None]:
        """Keep the volumes and their ranks as they are on disk."""
        found = [volume for source in self._sources for volume in source.volumes(now)]
        yield
        for volume in self._volumes.keys() - found:
            for rank in self._volumes.pop(volume).values():
                self._leave(rank, now)
        for volume in found:
            if volume.due(now) or volume not in self._volumes:
                with Isolated(self._counts, f"{volume.root.path}/{volume.name}"):
                    volume.look(now)
                    self._take_over(volume, now)
                yield

    def _take_over(self, volume: Volume, now: float) -> None:
        ranks = self._volumes.setdefault(volume, {})
        for name in ranks.keys() - volume.ranks.keys():
            self._leave(ranks.pop(name), now)
        left = {rank.path: rank for rank in self._leaving if rank.volume is volume}
        for name, rank in volume.ranks.items():
            if name in ranks:
                continue
            if back := left.get(f"{volume.root.path}/{name}"):
                self._take_back(back)
                ranks[name] = back
                continue
            if len(ranks) + volume.leaving >= self._settings.limits_ranks_per_volume:
                volume.tenant.limited("ranks_per_volume")
                break
            ranks[name] = RankFiles(
                volume, rank, self._consumers, self._settings, self._counts, self._watcher
            )
            log.debug("following", extra={"path": ranks[name].path})

    def _read(self, due: list[RankFiles], now: float) -> Iterator[None]:
        """Give each tenant its share; of its ranks, those that waited longest come first."""
        due.sort(key=attrgetter("schedule.read_at"))
        for tenant, ranks in Counter(rank.tenant for rank in due).items():
            tenant.begin_tick(ranks)
        for rank in due:
            with Isolated(self._counts, rank.path):
                yield from rank.read(now)

    def _leave(self, rank: RankFiles, now: float) -> None:
        rank.gone()
        rank.volume.leaving += 1
        self._leaving[rank] = now

    def _take_back(self, rank: RankFiles) -> None:
        del self._leaving[rank]
        rank.volume.leaving -= 1
        rank.there_again()

    def _let_go(self, now: float) -> None:
        """End the series of what is gone when all is read and the grace is over."""
        for rank, since in list(self._leaving.items()):
            if rank.let_go(now, since):
                del self._leaving[rank]
                rank.volume.leaving -= 1
                rank.volume.touched(CHANGED)  # there may be room for another one
                rank.close()
                log.debug("gone", extra={"path": rank.path})

    def _report(self, now: float) -> None:
        counts = self._counts
        counts.tick_seconds = time.monotonic() - now
        counts.tick_timestamp = time.time()
        counts.ranks = sum(map(len, self._volumes.values()))
        counts.files = sum(rank.files for rank in self._ranks())
        for rank in self._ranks():
            if rank.newest:
                rank.tenant.wrote()
        counts.lag = {volume.tenant.who: _lag(ranks) for volume, ranks in self._volumes.items()}


def _lag(ranks: dict[str, RankFiles]) -> tuple[int, float]:
    """Bytes, and the age in seconds of the newest record read while there are any."""
    behind = sum(rank.behind for rank in ranks.values())
    newest = max((rank.newest for rank in ranks.values()), default=0.0)
    return behind, time.time() - newest if behind and newest else 0.0
