# SPDX-License-Identifier: Apache-2.0
"""The exporter's own state in a few numbers: those of its telemetry, added up."""

from __future__ import annotations

from collections import defaultdict

from primus_lens_exporter.live.schema import Exporter, Pods
from primus_lens_exporter.model.pod import STATES
from primus_lens_exporter.pods.cache import PodCache
from primus_lens_exporter.reading.follow import Follower
from primus_lens_exporter.series.store import Store
from primus_lens_exporter.telemetry import PREFIX, Telemetry

TOTALS = {
    "files": "files",
    "ranks": "rank_directories",
    "faults": "faults_total",
    "dropped_series": "dropped_series_total",
    "refused_files": "refused_files_total",
    "limited": "limited_total",
}
"""By the name in JSON, of the sums over all labels."""


class Health:
    """Called for each answer."""

    def __init__(
        self, store: Store, telemetry: Telemetry, follower: Follower, pods: PodCache | None
    ) -> None:
        """`pods` where Kubernetes is asked who they are."""
        self._store = store
        self._telemetry = telemetry
        self._follower = follower
        self._pods = pods

    def __call__(self) -> Exporter:
        """As it is now."""
        totals: defaultdict[str, float] = defaultdict(float)
        for family in self._telemetry.registry.collect():
            for sample in family.samples:
                totals[sample.name] += sample.value
        size, seconds = self._telemetry.lag.most
        return Exporter(
            ready=self._follower.ready,
            **{name: int(totals[PREFIX + metric]) for name, metric in TOTALS.items()},
            series=len(self._store),
            lag_bytes=size,
            lag_seconds=seconds,
            pods=self._injections(),
        )

    def _injections(self) -> Pods | None:
        if self._pods is None:
            return None
        counted = self._pods.injections()
        return Pods(**{state: counted[state] for state in STATES})
