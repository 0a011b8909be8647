# SPDX-License-Identifier: Apache-2.0
"""When one rank's directory is looked at, and when its files are read.

What nothing happens in is looked at rarely, and never because of a hint alone: a change that
inotify does not tell of is found at the next look. Opens and reads nothing.
"""

from __future__ import annotations

import math
import time

from primus_lens_exporter.reading.layout import FILE
from primus_lens_exporter.reading.listing import Listing
from primus_lens_exporter.reading.safe_open import SafeDirectory
from primus_lens_exporter.reading.tenant import SHARE
from primus_lens_exporter.reading.watcher import CHANGED, WRITTEN, Watched, Watcher

QUIET_SECONDS = 10.0  # then an unwatched rank is read with the looks alone
LOOK_SECONDS = 1.0  # between looks for rewritten files, and for new ones where nobody tells
QUIET_LOOK_SECONDS = 4.0  # the same where nothing has happened for a while
WATCHED_LOOK_SECONDS = 5.0  # where somebody would have told
WATCHED_QUIET_LOOK_SECONDS = 30.0


class Schedule(Watched):
    """The schedule of one rank. All times are monotonic."""

    def __init__(self, root: SafeDirectory, name: str, watcher: Watcher) -> None:
        self.listing = Listing(root, name, FILE, watcher, self)
        """Of its directory, which tells of changes."""
        self.wake_at = 0.0
        """When there may next be something to do."""
        self.read_at = 0.0
        """When it had its last turn."""
        self.scanned_at = 0.0
        """When its directory was last looked at."""
        self.busy_at = time.monotonic()
        """When there was last something to read."""
        self.behind = False
        """Whether its last turn ended before all was read."""
        self._changed = True
        self._written = True
        self._look_at = self._list_at = 0.0

    def touched(self, mask: int) -> None:
        self._written = self._written or bool(mask & WRITTEN)
        self._changed = self._changed or bool(mask & CHANGED)
        self.wake_at = 0.0

    def lost(self, watch: int) -> None:
        self.listing.lost(watch)
        self.touched(CHANGED)

    def due(self, now: float) -> bool:
        """Whether there may be something to read."""
        return self.behind or self.may_have_grown(now, self.busy_at)

    def may_have_grown(self, now: float, busy_at: float) -> bool:
        """Whether a file may have, for a reader that had something to read at `busy_at`."""
        return self._written or (not self.listing.watched and now - busy_at < QUIET_SECONDS)

    def scan_due(self, now: float) -> bool:
        """Whether it is time for a look at the directory."""
        return now >= self._look_at or (self._changed and now >= self._list_at)

    def rest(self, now: float, until: float) -> None:
        """The end of a tick: work out when the next one matters, at the latest `until`."""
        list_at = self._list_at if self._changed else math.inf
        self.wake_at = 0.0 if self.due(now) else min(self._look_at, list_at, until)

    def begin_scan(self, now: float) -> bool:
        """Whether to look for rewritten files too, and not for names alone."""
        self.scanned_at = now
        self._changed = False
        if now < self._look_at:
            return False
        self._look_at = now + self._look_seconds(now)
        return True

    def end_scan(self, seconds: float) -> None:
        """What looking has cost: a listing is not repeated sooner than twenty times that."""
        self._list_at = self.scanned_at + SHARE * seconds

    def put_off(self, now: float) -> None:
        """A turn in which nothing can be read yet."""
        self.read_at = now
        self.behind = True

    def begin_turn(self, now: float) -> bool:
        """A turn of reading; returns whether a file has grown since the last one."""
        self.read_at = now
        self.behind = True  # until proven otherwise
        written, self._written = self._written, False
        return written

    def found(self) -> None:
        """There was something to read in this turn."""
        self.busy_at = self.read_at

    def all_read(self, *, written: bool) -> None:
        """The turn came to the end of all files; `written` is what `begin_turn` said."""
        self.behind = False
        if written and self.busy_at != self.read_at:  # and yet nothing new: rewritten?
            self._look_at = 0.0

    def _look_seconds(self, now: float) -> float:
        busy = now - self.busy_at < QUIET_SECONDS
        if self.listing.watched:
            return WATCHED_LOOK_SECONDS if busy else WATCHED_QUIET_LOOK_SECONDS
        return LOOK_SECONDS if busy else QUIET_LOOK_SECONDS
