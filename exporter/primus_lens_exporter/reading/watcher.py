# SPDX-License-Identifier: Apache-2.0
"""inotify(7) watches, so that directories in which nothing happens cost nothing.

An event is a hint and must never be needed: where inotify is missing, where its queue
overflows or a file system has no events (NFS), polling finds the same changes.
"""

from __future__ import annotations

import contextlib
import logging
import os
from collections import Counter

from inotify_simple import INotify, flags, parse_events

READ_BYTES = 1 << 16  # of events in one tick; a flood of them ends in an overflow
# A directory with more events than this in one tick is cheaper looked at than listened to.
NOISY_EVENTS = 256
WRITTEN = int(flags.MODIFY)
CHANGED = int(flags.CREATE | flags.DELETE | flags.MOVED_FROM | flags.MOVED_TO | flags.IGNORED)
MASK = WRITTEN | CHANGED & ~int(flags.IGNORED) | flags.ONLYDIR

log = logging.getLogger(__name__)


class Watched:
    """Owner of a watched directory."""

    __slots__ = ()

    def touched(self, mask: int) -> None:
        """WRITTEN: a file has grown; CHANGED: names have come or gone."""
        raise NotImplementedError

    def lost(self, watch: int) -> None:
        """The inotify watch is gone: fall back to polling."""
        raise NotImplementedError


class Watcher:
    """One inotify instance for all directories."""

    def __init__(self) -> None:
        self._inotify: INotify | None = None
        self._owners: dict[int, Watched] = {}
        self._listeners: Counter[int] = Counter()
        try:
            self._inotify = INotify(nonblocking=True)
        except OSError as error:  # fs.inotify.max_user_instances is used up
            log.warning("no inotify: polling", extra={"error": error.strerror})

    def watch(self, directory: int, owner: Watched) -> int | None:
        """Listen to an open directory; None where that is not possible."""
        if self._inotify is None:
            return None
        try:
            # By its descriptor: the name may be another directory's by now.
            watch: int = self._inotify.add_watch(f"/proc/self/fd/{directory}", MASK)
        except OSError:  # max_user_watches, or a file system that cannot
            return None
        self._owners[watch] = owner
        # A directory that was renamed is the same one: it has one watch under both names.
        self._listeners[watch] += 1
        return watch

    def forget(self, watch: int) -> None:
        """Listen no more, unless somebody else still does."""
        self._listeners[watch] -= 1
        if self._listeners[watch] <= 0:
            self._remove(watch)

    def _remove(self, watch: int) -> None:
        self._listeners.pop(watch, None)
        if self._owners.pop(watch, None) is not None and self._inotify is not None:
            with contextlib.suppress(OSError):  # the directory is gone, and the watch with it
                self._inotify.rm_watch(watch)

    def poll(self) -> None:
        """Tell every owner what has happened since the last call. Never blocks."""
        if self._inotify is None:
            return
        try:
            events = parse_events(os.read(self._inotify.fileno(), READ_BYTES))
        except BlockingIOError:
            return
        heard: Counter[int] = Counter()
        for event in events:
            heard[event.wd] += 1
            if event.mask & flags.Q_OVERFLOW:
                self._touch_all()
            elif (owner := self._owners.get(event.wd)) is not None:
                owner.touched(event.mask)
            if event.mask & flags.IGNORED:
                self._lose(event.wd)
        for watch, count in heard.items():
            if count > NOISY_EVENTS and watch in self._owners:
                self._lose(watch)

    def close(self) -> None:
        if self._inotify is not None:
            self._inotify.close()

    def _lose(self, watch: int) -> None:
        owner = self._owners.get(watch)
        self._remove(watch)
        if owner is not None:
            owner.lost(watch)

    def _touch_all(self) -> None:
        for owner in set(self._owners.values()):
            owner.touched(WRITTEN | CHANGED)
