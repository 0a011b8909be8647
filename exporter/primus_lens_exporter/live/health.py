# SPDX-License-Identifier: Apache-2.0
"""The exporter's own state in a few numbers: what was counted, added up."""

from __future__ import annotations

from primus_lens_exporter.live.schema import Exporter, Pods
from primus_lens_exporter.model.pod import STATES
from primus_lens_exporter.pods.cache import PodCache
from primus_lens_exporter.reading.counts import Counts
from primus_lens_exporter.reading.readers import Readers
from primus_lens_exporter.series.store import Store


def health(store: Store, counts: Counts, readers: Readers, pods: PodCache | None) -> Exporter:
    """As it is now; `pods` where Kubernetes is asked who they are."""
    states = None if pods is None else pods.injections()
    return Exporter(
        ready=readers.ready,
        files=counts.files,
        ranks=counts.ranks,
        faults=counts.faults,
        dropped_series=counts.dropped.total(),
        refused_files=counts.refused.total(),
        limited=counts.limited.total(),
        series=len(store),
        lag_bytes=sum(size for size, _ in counts.lag.values()),
        lag_seconds=max((seconds for _, seconds in counts.lag.values()), default=0.0),
        pods=None if states is None else Pods(**{state: states[state] for state in STATES}),
    )
