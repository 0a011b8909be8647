# SPDX-License-Identifier: Apache-2.0
"""The pods that are known, by UID. One thread writes, any may read.

A pod stays known for a while after it is gone: its files are read after that, and its series
end later still. A UID is never used twice, so an entry can be late but never another pod's.
"""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Iterable

from primus_lens_exporter.model.pod import INJECTED, Pod

GRACE_SECONDS = 600.0
MAX_GONE = 4096  # about 4 MB; the longest gone are forgotten first
READ_SECONDS = 60.0  # what a pod wrote before it became known is read by then


class PodCache:
    """Who each pod is."""

    def __init__(self) -> None:
        self.synced = False
        """Whether all pods have been listed once: one that is unknown now is new or none."""
        # Readers see one dict in which single entries are set: no lock, and never a moment at
        # which a pod that is on its way out is in neither of two.
        self._pods: dict[str, Pod] = {}
        self._gone: dict[str, float] = {}  # since when, in the order of time
        self._known: dict[str, float] = {}  # since when
        self._wrote: set[str] = set()

    def get(self, uid: str) -> Pod | None:
        """The pod, or None while it is not known."""
        return self._pods.get(uid)

    def uids(self) -> list[str]:
        """The UIDs of all that are known."""
        return list(self._pods)

    def injections(self) -> Counter[str]:
        """How many of those that are there have which `injection`."""
        there = [pod for uid, pod in self._pods.copy().items() if uid not in self._gone]
        return Counter(pod.injection for pod in there)

    def wrote(self, uid: str) -> None:
        """A record of the pod has been read; whoever reads them says so, in its own thread."""
        if uid in self._pods:
            self._wrote.add(uid)

    def silent(self) -> list[Pod]:
        """Those that are injected and training, and of which no record has been read."""
        before = time.monotonic() - READ_SECONDS
        return [
            pod
            for uid, pod in self._pods.copy().items()
            if pod.injection == INJECTED
            and pod.running
            and uid not in self._wrote
            and uid not in self._gone
            and self._known.get(uid, math.inf) <= before
        ]

    def __len__(self) -> int:
        """How many are known, those that are gone among them."""
        return len(self._pods)

    def put(self, pod: Pod) -> None:
        """The pod is there and looks like this."""
        self._gone.pop(pod.uid, None)
        self._known.setdefault(pod.uid, time.monotonic())
        self._pods[pod.uid] = pod

    def remove(self, uid: str) -> None:
        """The pod is gone."""
        if uid in self._pods:
            self._gone.setdefault(uid, time.monotonic())
        self.forget()

    def replace(self, pods: Iterable[Pod]) -> None:
        """These pods are there and no others."""
        there = set()
        for pod in pods:
            there.add(pod.uid)
            self.put(pod)
        for uid in self._pods.keys() - there:
            self.remove(uid)
        self.synced = True

    def forget(self) -> None:
        """Drop those that have been gone for long enough."""
        before = time.monotonic() - GRACE_SECONDS
        while self._gone:
            uid, since = next(iter(self._gone.items()))
            if since > before and len(self._gone) <= MAX_GONE:
                return
            del self._gone[uid], self._pods[uid], self._known[uid]
            self._wrote.discard(uid)
