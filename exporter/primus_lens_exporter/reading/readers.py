# SPDX-License-Identifier: Apache-2.0
"""All that is read: one follower on the event loop, and those in threads."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Coroutine, Iterable, Sequence

from primus_lens_exporter.reading.consumer import Holder
from primus_lens_exporter.reading.follow import Follower
from primus_lens_exporter.reading.mount_reader import MountReader


class Readers:
    """The follower of what is local, and one reader for each file system that can hang."""

    def __init__(self, follower: Follower, mounts: Sequence[MountReader]) -> None:
        self._follower = follower
        self._mounts = mounts

    @property
    def ready(self) -> bool:
        """Whether everything that was there at the start has been read once."""
        return self._follower.ready and all(mount.ready for mount in self._mounts)

    def work(self) -> list[Coroutine[None, None, None]]:
        """What has to run until it is cancelled."""
        return [self._follower.run(), *(mount.run() for mount in self._mounts)]

    def close(self) -> None:
        """Close every file; those in threads close theirs."""
        self._follower.close()

    def stuck(self, holders: Iterable[Holder]) -> bool:
        """Whether the file system of one of these ranks does not answer."""
        hanging = [mount for mount in self._mounts if mount.stuck_seconds]
        return bool(hanging) and any(each.follows(holder) for each in hanging for holder in holders)

    def places(self, holders: Iterable[Holder]) -> dict[MountReader | None, list[Holder]]:
        """Ranks by who may touch their files: None for the event loop."""
        found: defaultdict[MountReader | None, list[Holder]] = defaultdict(list)
        for holder in holders:
            mount = next((each for each in self._mounts if each.follows(holder)), None)
            found[mount].append(holder)
        return found
