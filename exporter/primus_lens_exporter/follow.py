# SPDX-License-Identifier: Apache-2.0
"""The loop that keeps the store up to date, in slices so short that no scrape waits."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterator, Sequence

from primus_lens_exporter.rank import RankFiles
from primus_lens_exporter.refusals import Refusals
from primus_lens_exporter.settings import Settings
from primus_lens_exporter.sources import DirectorySource, RankDirectory
from primus_lens_exporter.store import Store
from primus_lens_exporter.telemetry import Telemetry

POLL_SECONDS = 0.25  # between looks at the end of each file
SCAN_SECONDS = 1.0  # between looks for new files and directories
QUIET_SCANS = 4  # a rank that says nothing is looked at in each fourth scan
SLICE_SECONDS = 0.002  # the longest that a scrape waits for us

log = logging.getLogger(__name__)


class Follower:
    """Follows every rank directory of every source until it is cancelled."""

    def __init__(
        self,
        sources: Sequence[DirectorySource],
        store: Store,
        telemetry: Telemetry,
        refusals: Refusals,
        settings: Settings,
    ) -> None:
        self.ready = False
        """Whether everything that was there at the start has been read once."""
        self._sources = sources
        self._store = store
        self._telemetry = telemetry
        self._refusals = refusals
        self._settings = settings
        self._ranks: dict[str, RankFiles] = {}
        self._gone_since: dict[str, float] = {}
        self._scans = 0

    async def run(self) -> None:
        """Scan and read for ever."""
        scan_at = 0.0
        while True:
            if time.monotonic() >= scan_at:
                await self._scan_once()
                scan_at = time.monotonic() + SCAN_SECONDS
            caught_up = await _in_slices(self._read())
            self.ready = self.ready or caught_up
            if caught_up:
                await asyncio.sleep(POLL_SECONDS)

    def close(self) -> None:
        """Close every file."""
        for files in self._ranks.values():
            files.close()
        self._ranks.clear()

    async def _scan_once(self) -> None:
        started = time.perf_counter()
        await _in_slices(self._scan())
        telemetry = self._telemetry
        telemetry.scan_seconds.set(time.perf_counter() - started)
        telemetry.scan_timestamp.set_to_current_time()
        telemetry.directories.set(len(self._ranks))
        telemetry.files.set(sum(map(len, self._ranks.values())))

    def _scan(self) -> Iterator[None]:
        self._scans += 1
        listed = set()
        for source in self._sources:
            for rank in source.list():
                listed.add(rank.path)
                try:
                    self._follow(rank)
                except Exception:
                    self._telemetry.faults.inc()
                    log.exception("fault while scanning", extra={"path": rank.path})
                yield
        for path in self._ranks.keys() - listed:
            self._let_go(path)
            yield

    def _read(self) -> Iterator[None]:
        for path, files in list(self._ranks.items()):
            if files.quiet:
                continue
            try:
                yield from files.read()
            except Exception:  # a fault of ours must not cost the other ranks their metrics
                self._telemetry.faults.inc()
                log.exception("fault while reading", extra={"path": path})

    def _follow(self, rank: RankDirectory) -> None:
        self._gone_since.pop(rank.path, None)
        files = self._ranks.get(rank.path)
        if files is None:
            limit = self._settings.limits_line_bytes
            files = RankFiles(rank, self._store, self._telemetry, self._refusals, limit)
            self._ranks[rank.path] = files
            log.info("following", extra={"path": rank.path, **dict(rank.labels)})
        elif files.quiet and self._scans % QUIET_SCANS:
            return
        files.scan()

    def _let_go(self, path: str) -> None:
        """Read on what is open; end the series when the grace is over."""
        now = time.monotonic()
        since = self._gone_since.setdefault(path, now)
        self._ranks[path].gone()
        if now - since >= self._settings.series_grace_seconds:
            self._ranks.pop(path).close()
            del self._gone_since[path]
            log.info("gone", extra={"path": path})


async def _in_slices(work: Iterator[None]) -> bool:
    """Run a generator, letting the event loop in between; True if it had nothing to do."""
    idle = True
    until = time.perf_counter() + SLICE_SECONDS
    for _ in work:
        idle = False
        if time.perf_counter() >= until:
            await asyncio.sleep(0)
            until = time.perf_counter() + SLICE_SECONDS
    return idle
