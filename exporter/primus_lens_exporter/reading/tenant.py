# SPDX-License-Identifier: Apache-2.0
"""Pods are untrusted: each is a tenant with quotas for what it may use of the exporter.

In a plain directory, where pods are not known, each rank is a tenant. A tenant that reaches
a bound loses what lies beyond it, and no other tenant may lose anything; each bound is
counted, and the log names the tenant once.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Sequence
from typing import Protocol

from primus_lens_toolkit.warn_once import WarnOnce

from primus_lens_exporter.model.labels import Labels
from primus_lens_exporter.model.pod import Pod
from primus_lens_exporter.model.quota import Quota
from primus_lens_exporter.reading.counts import Counts
from primus_lens_exporter.reading.open_files import OpenFiles
from primus_lens_exporter.reading.settings import ReadingSettings
from primus_lens_exporter.reading.share import Share

SHARE = 20  # looking at directories takes a twentieth of the time at most
BURST_SECONDS = 1.0  # of which so much may be used at once

MAX_INFOS = 10_000  # about 10 MB; the hook keeps a hundred for each process

log = logging.getLogger(__name__)


class Identities(Protocol):
    """Who a pod is, by its UID; None while nobody has told."""

    def get(self, uid: str) -> Pod | None: ...

    def uids(self) -> Collection[str]: ...

    def wrote(self, uid: str) -> None: ...


def node_quota(settings: ReadingSettings) -> Quota:
    """Of the series of all tenants together, for one consumer."""
    return Quota(settings.limits_series_per_node, "series_per_node")


class Tenant:
    """One tenant; `name` is its pod's UID or its directory."""

    def __init__(
        self,
        name: str,
        settings: ReadingSettings,
        counts: Counts,
        nodes: Sequence[Quota],
        open_files: OpenFiles,
        pods: Identities | None = None,
    ) -> None:
        self.name = name
        self.shares = [Share(settings, node, self.limited) for node in nodes]
        """What each consumer may use for it."""
        self.files = 0
        """Being followed now."""
        self.infos = 0
        """Descriptions of runs that are kept for it now."""
        self._held = 0
        self._open_files = open_files
        self._look_at = 0.0
        self._settings = settings
        self._counts = counts
        self._pods = pods
        self._warn_once = WarnOnce(log)

    @property
    def pod(self) -> Pod | None:
        """What the API knows of it; None for a plain directory, and while it is not known."""
        return self._pods.get(self.name) if self._pods else None

    def identity(self, container: str | None) -> Labels | None:
        """The labels that say who wrote; None while they are not known yet."""
        if self._pods is None:
            return ()
        pod = self.pod
        if pod is None or not pod.node:
            return None
        return (
            ("namespace", pod.namespace),
            ("pod", pod.name),
            ("container", container if container in pod.containers else pod.container),
            ("node", pod.node),
        )

    def info(self) -> Labels:
        """Further labels of its runs' info: the owning workload, the allow-listed labels."""
        pod = self.pod
        if pod is None:
            return ()
        workload = (("workload", pod.workload), ("workload_kind", pod.workload_kind))
        return (*workload, *pod.labels)

    @property
    def who(self) -> Labels:
        """Whom to name in the exporter's own metrics and in its log."""
        pod = self.pod
        return (("namespace", pod.namespace), ("pod", pod.name)) if pod else (("path", self.name),)

    def wrote(self) -> None:
        """A record of it has been read."""
        if self._pods is not None:
            self._pods.wrote(self.name)

    def begin_tick(self, ranks: int) -> None:
        """A new share of reading, for so many ranks that have something to read."""
        for share in self.shares:
            share.begin_tick(ranks)

    def may_look(self, now: float) -> bool:
        """Whether one more of its directories may be looked at; `now` is monotonic."""
        return now >= self._look_at

    def looked(self, now: float, seconds: float) -> None:
        """What looking at a directory has cost."""
        self._look_at = max(self._look_at, now - BURST_SECONDS) + SHARE * seconds

    def may_open(self, *, hold: bool) -> bool:
        """Whether one more file may be followed; `hold`: with a descriptor that stays open."""
        if self.files >= self._settings.limits_files_per_pod:
            self.limited("files_per_pod")
            return False
        return not hold or self._open_files.may_open(self._held, self._counts)

    def opened(self, *, hold: bool) -> None:
        """One more file is followed."""
        self.files += 1
        self._held += hold
        self._open_files.add(hold)

    def closed(self, *, hold: bool) -> None:
        """One file is followed no longer."""
        self.files -= 1
        self._held -= hold
        self._open_files.add(-hold)

    def keep_infos(self, before: int, wanted: int) -> int:
        """How many descriptions of runs a rank may keep that kept so many before."""
        self.infos -= before
        kept = max(0, min(wanted, MAX_INFOS - self.infos))
        self.infos += kept
        return kept

    def limited(self, limit: str) -> None:
        """Something was left out, since a bound was reached."""
        self._counts.limited[limit] += 1
        self._warn("limit reached", limit)

    def shared(self, path: str, others: Iterable[str]) -> None:
        """A rank and run that are written in several directories: their values are mixed."""
        self._counts.shared_runs += 1
        self._warn(
            "one rank and run in several directories",
            "shared",
            path=path,
            others=", ".join(sorted(others)),
        )

    def dropped(self, reason: str, values: int) -> None:
        """Values that got no series."""
        self._counts.dropped[reason] += values
        if reason != "key_rules":  # which is what the operator wanted
            self._warn("series dropped", reason)

    def refused(self, reason: str, path: str, error: str | None) -> None:
        """A path that could not be read."""
        self._counts.refused[reason] += 1
        self._warn("cannot read", reason, path=path, error=error)

    def _warn(self, message: str, reason: str, **details: str | None) -> None:
        # A pod may reach a bound with each record: who it is, is looked up for the log alone.
        if reason not in self._warn_once:
            # Not two keyword dicts: a directory is named by a `path` too, and the file's is wanted.
            said = {"reason": reason, **dict(self.who), **details}
            self._warn_once(reason, message, **said)


class Tenants:
    """Makes tenants that share one node's quotas of series, and one process's descriptors."""

    def __init__(
        self,
        settings: ReadingSettings,
        counts: Counts,
        pods: Identities,
        open_files: OpenFiles,
        nodes: Sequence[Quota],
    ) -> None:
        """`nodes`: the quota of each consumer; the tenants of other followers share them."""
        self._settings = settings
        self._counts = counts
        self._pods = pods
        self._open_files = open_files
        self._nodes = nodes

    def pod(self, uid: str) -> Tenant:
        """The pod with this UID."""
        return Tenant(uid, self._settings, self._counts, self._nodes, self._open_files, self._pods)

    def directory(self, name: str) -> Tenant:
        """Whoever writes to a plain directory."""
        return Tenant(name, self._settings, self._counts, self._nodes, self._open_files)
