# SPDX-License-Identifier: Apache-2.0
"""Where volumes are found: a plain directory, the kubelet's pods, a shared volume.

The identity comes from the place and the Kubernetes API, never from what a file says. A
source only finds; it opens no file.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from typing import Protocol

from primus_lens_hook import contract

from primus_lens_exporter.reading.layout import POD_UID
from primus_lens_exporter.reading.listing import Listing
from primus_lens_exporter.reading.read_errors import ReadErrors
from primus_lens_exporter.reading.safe_open import PLACE, SafeDirectory
from primus_lens_exporter.reading.settings import ReadingSettings
from primus_lens_exporter.reading.tenant import Identities, Tenants
from primus_lens_exporter.reading.volume import POLLED_SECONDS, TOP, WATCHED_SECONDS, Volume
from primus_lens_exporter.reading.watcher import CHANGED, Watched, Watcher

# Where the kubelet keeps an emptyDir; unofficial, and the same since 2015.
EMPTY_DIR = f"{{}}/volumes/kubernetes.io~empty-dir/{contract.RECORDS_VOLUME}"
PODS = 1 << 16  # entries of the kubelet's own directory: far more than a node can have
FRESH_SECONDS = 60.0  # a new pod's volume is soon there, and may soon be gone again


class Source(Protocol):
    """Finds volumes in one place."""

    def volumes(self, now: float) -> Iterable[Volume]:
        """All that there are now; `now` is monotonic."""

    def release(self) -> None:
        """The end of a pass."""

    def close(self) -> None: ...


class DirectorySource:
    """The output path of a training: `node_{n}/rank_{l}/` below one directory.

    When another directory has its path, since it is a link to the newest training or was swapped,
    what was there has ended, and what is there now is read from its beginning.
    """

    def __init__(
        self,
        path: str,
        tenants: Tenants,
        settings: ReadingSettings,
        watcher: Watcher,
        *,
        hold: Callable[[], bool] = lambda: True,
    ) -> None:
        """`hold`: see SafeDirectory; asked for each directory that the path has led to."""
        self._path = path
        self._tenants = tenants
        self._settings = settings
        self._watcher = watcher
        self._hold = hold
        self._target = ""
        self._volume: Volume | None = None
        self._refresh_at = 0.0

    def volumes(self, now: float) -> Iterable[Volume]:
        if self._volume is None or now >= self._refresh_at:
            self._refresh_at = now + POLLED_SECONDS  # nothing tells that a link has changed
            self._volume = self._refreshed(self._volume)
        return (self._volume,)

    def _refreshed(self, volume: Volume | None) -> Volume:
        """The volume, or a new one where the path leads to another directory by now."""
        target = os.path.realpath(self._path)
        # One that is not held is told by its path alone: its volume may have been mounted again.
        if volume is not None and target == self._target and not volume.root.refresh():
            return volume
        self.close()
        self._target = target
        root = SafeDirectory(self._path, hold=self._hold(), target=target)
        tenants = self._tenants
        whose = tenants.directory(self._path)
        return Volume(root, TOP, whose, tenants.directory, self._settings, self._watcher)

    def release(self) -> None:
        if self._volume is not None:
            self._volume.root.release()

    def close(self) -> None:
        if self._volume is not None:
            self._volume.close()
            self._volume.root.close()


class PodSource(Watched):
    """Volumes of pods. Its two kinds differ in where pods are known from."""

    def __init__(
        self, root: SafeDirectory, tenants: Tenants, settings: ReadingSettings, watcher: Watcher
    ) -> None:
        self._root = root
        self._tenants = tenants
        self._settings = settings
        self._watcher = watcher
        self._since: dict[str, float] = {}  # when each pod was first seen, by UID
        self._volumes: dict[str, Volume] = {}
        self._read_errors: dict[str, ReadErrors] = {}
        self._next = 0.0

    def volumes(self, now: float) -> Iterable[Volume]:
        due = now >= self._next
        if due:
            self._root.refresh()
            self._next = now + self._update(now)
        for uid, since in self._since.items():
            if uid not in self._volumes and (due or now - since < FRESH_SECONDS):
                self._find(uid)
        return self._volumes.values()

    def touched(self, mask: int) -> None:
        if mask & CHANGED:
            self._next = 0.0

    def lost(self, watch: int) -> None:
        del watch
        self._next = 0.0

    def release(self) -> None:
        self._root.release()

    def close(self) -> None:
        for volume in self._volumes.values():
            volume.close()
        self._root.close()

    def _pods(self) -> Iterator[str]:
        """The UIDs of the pods that there are now."""
        raise NotImplementedError

    def _place(self, uid: str) -> str | None:
        """Where the pod's volume would be, below the root."""
        raise NotImplementedError

    def _seconds(self) -> float:
        """Until the pods are looked at again."""
        raise NotImplementedError

    def _update(self, now: float) -> float:
        uids = set(self._pods())
        for uid in self._since.keys() - uids:
            del self._since[uid]
            self._read_errors.pop(uid, None)
            if volume := self._volumes.pop(uid, None):
                volume.close()
        for uid in uids:
            self._since.setdefault(uid, now)
        return self._seconds()

    def _find(self, uid: str) -> None:
        name = self._place(uid)
        if name is None:
            return
        try:
            os.close(self._root.open(name, PLACE | os.O_DIRECTORY))
        except FileNotFoundError:  # not there yet, or never
            return
        except OSError as error:
            if uid not in self._read_errors:
                tenant = self._tenants.pod(uid)
                self._read_errors[uid] = ReadErrors(self._root.path, tenant)
            self._read_errors[uid].note(name, error)
            return
        tenant = self._tenants.pod(uid)
        self._volumes[uid] = Volume(
            self._root,
            name,
            tenant,
            lambda _: tenant,
            self._settings,
            self._watcher,
            by_container=True,
        )


class KubeletSource(PodSource):
    """The emptyDir volumes of the pods on this node, where the kubelet keeps them."""

    def __init__(
        self,
        kubelet_root: str,
        tenants: Tenants,
        settings: ReadingSettings,
        watcher: Watcher,
        *,
        hold: bool = True,
    ) -> None:
        """`hold`: see SafeDirectory."""
        root = SafeDirectory(f"{kubelet_root}/pods", hold=hold)
        super().__init__(root, tenants, settings, watcher)
        self._listing = Listing(root, TOP, POD_UID, watcher, self)
        self._uids: list[str] = []

    def lost(self, watch: int) -> None:
        self._listing.lost(watch)
        super().lost(watch)

    def _pods(self) -> Iterator[str]:
        try:
            entries = self._listing.changed(PODS)
        except OSError:  # the kubelet has not started yet, or we are out of descriptors
            entries = None
        if entries is not None:
            self._uids = [each.name for each in entries]
        return iter(self._uids)

    def _place(self, uid: str) -> str | None:
        return EMPTY_DIR.format(uid)

    def _seconds(self) -> float:
        return WATCHED_SECONDS if self._listing.watched else POLLED_SECONDS


class SharedSource(PodSource):
    """One volume for many pods, laid out `{namespace}/{pod}/{uid}/`.

    Only the pods that the API names are looked for (those of this node, unless all are
    wanted): nobody lists the other directories, and nobody believes their names.
    """

    def __init__(
        self,
        path: str,
        pods: Identities,
        tenants: Tenants,
        settings: ReadingSettings,
        watcher: Watcher,
    ) -> None:
        # Network volumes: see SafeDirectory.
        super().__init__(SafeDirectory(path, hold=False), tenants, settings, watcher)
        self._known = pods

    def _pods(self) -> Iterator[str]:
        return iter(self._known.uids())

    def _place(self, uid: str) -> str | None:
        pod = self._known.get(uid)
        return f"{pod.namespace}/{pod.name}/{uid}" if pod else None

    def _seconds(self) -> float:
        return POLLED_SECONDS
