# SPDX-License-Identifier: Apache-2.0
"""Lists an untrusted directory again only when a name in it has come or gone.

Only names that are ours count towards the limit: a training's checkpoints beside the records must
never hide them. How many names are looked at in all is bounded too.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator
from itertools import islice
from typing import NamedTuple

from primus_lens_exporter.reading.safe_open import DIRECTORY, SafeDirectory
from primus_lens_exporter.reading.watcher import Watched, Watcher

SETTLED_SECONDS = 2.0  # coarser than any file system's clock
FOREIGN = 16  # names that are looked at for each that is wanted; a name costs a microsecond


class Entry(NamedTuple):
    """A name in a directory."""

    name: str
    is_directory: bool
    """Itself: a link to a directory is none."""

    status: os.stat_result | None
    """Of the name itself, where it was wanted."""

    is_link: bool = False


class Listing:
    """Remembers the directory and the modification time at which it was listed.

    Names that `wanted` does not match as a whole are passed over.
    """

    __slots__ = ("_id", "_owner", "_root", "_seen", "_wanted", "_watch", "_watcher", "cut", "name")

    def __init__(
        self,
        root: SafeDirectory,
        name: str,
        wanted: re.Pattern[str],
        watcher: Watcher,
        owner: Watched,
    ) -> None:
        self.name = name
        self._wanted = wanted
        self.cut = False
        """Whether the newest listing stopped at the limit."""
        self._root = root
        self._watcher = watcher
        self._owner = owner
        self._watch: int | None = None
        self._id: tuple[int, int] | None = None
        self._seen: int | None = None

    @property
    def watched(self) -> bool:
        """Whether the owner is told of changes."""
        return self._watch is not None

    def changed(self, limit: int, files: re.Pattern[str] | None = None) -> list[Entry] | None:
        """The first `limit` entries if they may differ from the last call's, else None.

        Those that `files` matches as a whole come with their status. Raises OSError.
        """
        directory = self._open()
        try:
            status = os.fstat(directory)
            self._listen(directory, (status.st_dev, status.st_ino))
            if status.st_mtime_ns == self._seen:
                return None
            # Two changes within a tick of the clock look like one: only an old time is trusted.
            settled = time.time() - status.st_mtime > SETTLED_SECONDS
            self._seen = status.st_mtime_ns if settled else None
            with os.scandir(directory) as entries:
                looked_at = islice(entries, FOREIGN * limit)
                found = list(islice(_entries(looked_at, self._wanted, files), limit + 1))
                self.cut = len(found) > limit or next(entries, None) is not None
        finally:
            os.close(directory)
        return found[:limit]

    def lost(self, watch: int) -> None:
        """The watcher has stopped listening by itself."""
        if self._watch == watch:
            self._watch = None

    def relist(self) -> None:
        """List in the next call, changed or not."""
        self._seen = None

    def close(self) -> None:
        """Listen no more. Another directory in this place may get the same inode."""
        self._id = None
        if self._watch is not None:
            self._watcher.forget(self._watch)
            self._watch = None

    def _open(self) -> int:
        try:
            return self._root.open(self.name, DIRECTORY)
        except OSError:
            self.close()
            raise

    def _listen(self, directory: int, directory_id: tuple[int, int]) -> None:
        """Before the entries are read, so that nothing comes unnoticed in between."""
        if self._id == directory_id:
            return
        self.close()
        self._seen = None
        self._id = directory_id
        if self._root.hold:  # the others are network volumes, which do not tell
            self._watch = self._watcher.watch(directory, self._owner)


def _entries(
    entries: Iterator[os.DirEntry[str]],
    wanted: re.Pattern[str],
    files: re.Pattern[str] | None,
) -> Iterator[Entry]:
    for entry in entries:
        if not wanted.fullmatch(entry.name):
            continue
        status = None
        try:
            if files is not None and files.fullmatch(entry.name):
                status = entry.stat(follow_symlinks=False)
            is_directory = entry.is_dir(follow_symlinks=False)
            yield Entry(entry.name, is_directory, status, entry.is_symlink())
        except OSError:  # deleted since
            continue
