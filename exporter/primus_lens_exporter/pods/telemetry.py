# SPDX-License-Identifier: Apache-2.0
"""What the exporter tells of its talk with the API: `primus_lens_exporter_kubernetes_*`."""

from __future__ import annotations

import time

from prometheus_client import CollectorRegistry, Counter, Gauge

from primus_lens_exporter.model.pod import STATES
from primus_lens_exporter.pods.cache import PodCache
from primus_lens_exporter.pods.silent import SilentPods

PREFIX = "primus_lens_exporter_kubernetes_"

LIST, WATCH = VERBS = ("list", "watch")

# How a request ended; the values of the `result` label.
OK = "ok"
GONE = "gone"  # 410: too old, which the API may say at any time
UNAUTHORIZED = "unauthorized"
FORBIDDEN = "forbidden"
THROTTLED = "throttled"
SERVER_ERROR = "server_error"
REFUSED = "refused"  # any other status
UNREACHABLE = "unreachable"  # no connection, or it broke
SILENT = "silent"  # a connection on which nothing comes
GARBLED = "garbled"  # no JSON, cut off, or too long
FAULT = "fault"  # an error of ours; see the log
RESULTS = (
    OK, GONE, UNAUTHORIZED, FORBIDDEN, THROTTLED, SERVER_ERROR, REFUSED, UNREACHABLE, SILENT,
    GARBLED, FAULT,
)  # fmt: skip


class KubernetesTelemetry:
    """Counters and gauges in the registry of the exporter's own metrics."""

    def __init__(self, registry: CollectorRegistry, cache: PodCache) -> None:
        self.requests = Counter(
            PREFIX + "requests_total",
            "Requests to the Kubernetes API, by how they ended.",
            ("verb", "result"),
            registry=registry,
        )
        self.skipped = Counter(
            PREFIX + "decode_failures_total",
            "Pods passed over because they made no sense.",
            registry=registry,
        )
        age = Gauge(
            PREFIX + "watch_age_seconds",
            "Time since the Kubernetes API last said anything.",
            registry=registry,
        )
        pods = Gauge(
            PREFIX + "pods",
            "Pods that are known, those gone a short while ago among them.",
            registry=registry,
        )
        self._heard = time.monotonic()
        age.set_function(lambda: time.monotonic() - self._heard)
        pods.set_function(lambda: len(cache))
        injections = Gauge(
            "primus_lens_exporter_pods",
            "Pods that are there, by what the webhook made of them.",
            ("state",),
            registry=registry,
        )
        for state in STATES:
            injections.labels(state).set_function(
                lambda state=state: cache.injections()[state]  # type: ignore[misc]
            )
        registry.register(SilentPods(cache))
        for verb in VERBS:  # one that appears with its first error hides that error
            for result in RESULTS:
                self.requests.labels(verb, result)

    def heard(self) -> None:
        """The API has said something."""
        self._heard = time.monotonic()
