# SPDX-License-Identifier: Apache-2.0
"""Where one tenant writes: `[container/]node_{n}/rank_{l}/` below one directory.

Finds the rank directories and nothing else; it opens no file. The directory's content is
the tenant's: how many entries are looked at, how many ranks there may be and how much time
a look may take are bounded.
"""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

from primus_lens_exporter.reading.layout import (
    CONTAINER,
    NODE,
    NODE_OR_CONTAINER,
    NODE_OR_RANK,
    RANK,
)
from primus_lens_exporter.reading.listing import Entry, Listing
from primus_lens_exporter.reading.read_errors import ReadErrors
from primus_lens_exporter.reading.safe_open import SafeDirectory
from primus_lens_exporter.reading.settings import ReadingSettings
from primus_lens_exporter.reading.tenant import SHARE, Tenant
from primus_lens_exporter.reading.watcher import CHANGED, Watched, Watcher

TOP = "."

GONE = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.EXDEV)

POLLED_SECONDS = 1.0  # between looks where nobody tells of changes
WATCHED_SECONDS = 30.0  # between looks where somebody does


class RankDirectory(NamedTuple):
    """A directory in which one rank writes; `name` is relative to the volume's root."""

    name: str
    node_rank: str
    local_rank: str
    container: str | None = None


class Volume(Watched):
    """One tenant's directory `name` below a trusted root."""

    def __init__(
        self,
        root: SafeDirectory,
        name: str,
        tenant: Tenant,
        tenant_of: Callable[[str], Tenant],
        settings: ReadingSettings,
        watcher: Watcher,
        *,
        by_container: bool = False,
    ) -> None:
        self.root = root
        self.name = name
        self.tenant = tenant
        """Who is to blame for what is in the directory itself."""
        self.tenant_of = tenant_of
        """Whose a rank directory is, by its name."""
        self.ranks: dict[str, RankDirectory] = {}
        """What the newest look found, by name."""
        self.leaving = 0
        """Ranks that are gone, and whose last values are still shown."""
        self._settings = settings
        self._watcher = watcher
        self._by_container = by_container
        self._directories: dict[str, Subdirectories] = {}
        self._touched = True
        self._next_if_touched = 0.0
        self._next = 0.0
        self._left = 0  # entries and directories to look at, in this look

    def touched(self, mask: int) -> None:
        """Names have come or gone in one of the directories above the ranks."""
        self._touched = self._touched or bool(mask & CHANGED)

    def lost(self, watch: int) -> None:
        for directory in self._directories.values():
            directory.listing.lost(watch)
        self._touched = True

    def due(self, now: float) -> bool:
        """Whether it is time for a look; `now` is monotonic."""
        return now >= self._next or (self._touched and now >= self._next_if_touched)

    def look(self, now: float) -> None:
        """Find the rank directories that are there now."""
        started = self.root.clock()
        self._touched = False
        seen: set[str] = set()
        self._left = (
            self._settings.limits_directory_entries + 2 * self._settings.limits_ranks_per_volume
        )
        found = {rank.name: rank for rank in self._ranks(seen)}
        for name in self._directories.keys() - seen:
            self._directories.pop(name).listing.close()
        self.ranks = found
        watched = all(each.listing.watched for each in self._directories.values())
        pause = SHARE * self.root.cost(started)
        self._next = now + max(pause, WATCHED_SECONDS if watched else POLLED_SECONDS)
        self._next_if_touched = now + pause

    def close(self) -> None:
        """Listen no more."""
        for directory in self._directories.values():
            directory.listing.close()

    def _ranks(self, seen: set[str]) -> Iterator[RankDirectory]:
        count = 0
        for path, node, container in self._nodes(seen):
            for name, rank in self._below(path, RANK, seen):
                count += 1
                if count > self._settings.limits_ranks_per_volume:
                    self.tenant.limited("ranks_per_volume")
                    return
                yield RankDirectory(f"{path}/{name}", node, rank, container)

    def _nodes(self, seen: set[str]) -> Iterator[tuple[str, str, str | None]]:
        """Path, node rank and container of each node directory."""
        for name, node in self._below(self.name, NODE, seen):
            yield _join(self.name, name), node, None
        if self._by_container:
            for container, _ in self._below(self.name, CONTAINER, seen):
                path = _join(self.name, container)
                for name, node in self._below(path, NODE, seen):
                    yield f"{path}/{name}", node, container

    def _below(self, path: str, pattern: re.Pattern[str], seen: set[str]) -> list[tuple[str, str]]:
        if self._left <= 0:
            self.tenant.limited("directory_entries")
            return []
        directory = self._directories.get(path)
        if directory is None:
            # Nodes and containers come from one listing.
            at_top = path == self.name and self._by_container
            names = NODE_OR_CONTAINER if at_top else pattern
            directory = self._directories[path] = Subdirectories(path, names, self, self._watcher)
        if path not in seen:
            seen.add(path)
            self._left -= directory.look(min(self._left, self._settings.limits_directory_entries))
        return directory.matching(pattern)


class Subdirectories:
    """The real subdirectories (no links) of one directory of a volume."""

    __slots__ = ("_cost", "_names", "_read_errors", "_tenant", "listing")

    def __init__(self, path: str, names: re.Pattern[str], volume: Volume, watcher: Watcher) -> None:
        self.listing = Listing(volume.root, path, names, watcher, volume)
        self._tenant = volume.tenant
        self._read_errors = ReadErrors(f"{volume.root.path}/{path}", volume.tenant)
        self._names: list[str] = []
        self._cost = 1

    def look(self, limit: int) -> int:
        """List the directory if it has changed.

        One that is gone, or something else by now, has nothing; of one that cannot be listed
        for a while (no right, no descriptor) everything stays: to take it for gone, and later
        for new, would count its records twice.

        Returns what it took: the number of its entries, and one for itself.
        """
        try:
            entries = self.listing.changed(limit)
        except OSError as error:
            self._read_errors.note(TOP, error)
            if error.errno in GONE:
                self._names = []
            return 1
        self._read_errors.lift(TOP)
        if entries is not None:
            self._names = [entry.name for entry in entries if entry.is_directory]
            self._note_others(entries)
            self._cost = 1 + len(entries)
            if self.listing.cut:
                self._tenant.limited("directory_entries")
                self.listing.relist()  # there may be room at the next look
        return self._cost

    def _note_others(self, entries: list[Entry]) -> None:
        """Count what has the name of a directory of ours and is none."""
        self._read_errors.keep({TOP, *(entry.name for entry in entries)})
        for entry in entries:
            if not entry.is_directory and NODE_OR_RANK.fullmatch(entry.name):
                number = errno.ELOOP if entry.is_link else errno.ENOTDIR
                self._read_errors.note(entry.name, OSError(number, os.strerror(number)))

    def matching(self, pattern: re.Pattern[str]) -> list[tuple[str, str]]:
        """Names that fit as a whole, each with the number that the pattern's group holds.

        In the order of the numbers: of a backlog, that of a pod's first rank is read first.
        """
        matches = ((name, pattern.fullmatch(name)) for name in self._names)
        found = [(name, match[1].lstrip("0") or "0") for name, match in matches if match]
        return sorted(found, key=_by_number)


def _by_number(found: tuple[str, str]) -> tuple[int, str]:
    """Digits in numeric order, however many there are; names of containers in any."""
    return len(found[1]), found[1]


def _join(directory: str, name: str) -> str:
    return name if directory == TOP else f"{directory}/{name}"
