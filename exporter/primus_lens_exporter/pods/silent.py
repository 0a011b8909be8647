# SPDX-License-Identifier: Apache-2.0
"""Pods that have the hook and write nothing: a series for each, until its first record is read.

One that never imports wandb looks the same, and so do all but one of many a training's pods;
the labels of the workload let a rule tell whether another of its pods writes. It never says
that a pod is silent while what it wrote may only not have been read yet.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from itertools import islice
from operator import attrgetter

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from primus_lens_exporter.pods.cache import PodCache

MAX_SERIES = 500  # more than a node can have pods; those that have been silent longest
LABELS = ("namespace", "pod", "workload", "workload_kind")


class SilentPods(Collector):
    """Asks the cache at each scrape."""

    def __init__(self, cache: PodCache) -> None:
        self._cache = cache

    def collect(self) -> Iterable[Metric]:
        silent = sorted(self._cache.silent(), key=attrgetter("running"))
        # While pods are listed, one and its predecessor of the same name may both be there.
        by_name = {(pod.namespace, pod.name): pod for pod in silent}
        family = GaugeMetricFamily(
            "primus_lens_exporter_pod_silent_seconds",
            "How long the training of an injected pod has run without a record.",
            labels=LABELS,
        )
        now = time.time()
        for pod in islice(by_name.values(), MAX_SERIES):
            labels = (pod.namespace, pod.name, pod.workload, pod.workload_kind)
            family.add_metric(labels, max(0.0, now - pod.running))
        yield family
