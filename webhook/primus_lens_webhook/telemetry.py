# SPDX-License-Identifier: Apache-2.0
"""The webhook's own metrics: `primus_lens_webhook_*`."""

from __future__ import annotations

import platform

from primus_lens_hook import __version__
from primus_lens_toolkit.rejections import Rejections
from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)

from primus_lens_webhook import decision
from primus_lens_webhook.admission import Answer
from primus_lens_webhook.python_env import OUTCOMES

PREFIX = "primus_lens_webhook_"
BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 3.0)


class Telemetry:
    """Counters and gauges of one replica, in a registry of their own."""

    def __init__(self) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        self._admissions = Counter(
            PREFIX + "admissions_total",
            "Pods that were decided on.",
            ("decision", "reason", "python_env", "dry_run"),
            registry=registry,
        )
        self._seconds = Histogram(
            PREFIX + "admission_duration_seconds",
            "From a question whose body has come to its answer.",
            registry=registry,
            buckets=BUCKETS,
        )
        self.displaced_bodies = Counter(
            PREFIX + "displaced_bodies_total",
            "Questions that were dropped unread, since all together were too long.",
            registry=registry,
        )
        self.expiry = Gauge(
            PREFIX + "certificate_expiry_timestamp_seconds",
            "When the certificate in use ends.",
            registry=registry,
        )
        self.rejections = Rejections(registry, PREFIX)
        build = Gauge(PREFIX + "build_info", "Always 1.", ("version", "python"), registry=registry)
        build.labels(__version__, platform.python_version()).set(1)
        # A counter that appears with its first error hides that error from `increase`.
        for reason in decision.REASONS:
            if reason not in {decision.POD_LABEL, decision.NAMESPACE_LABEL}:
                self._admissions.labels(decision.SKIPPED, reason, "", "false")

    def sync_gauge(self) -> Gauge:
        """For replicas that look after the bundle themselves; others cannot tell."""
        return Gauge(
            PREFIX + "ca_bundle_in_sync",
            "Whether the live caBundle verifies the certificate in use.",
            registry=self.registry,
        )

    def count(self, answer: Answer, seconds: float) -> None:
        """One pod. Of several containers, the first one's `python_env`."""
        made = answer.decision
        mode = made.python_env.get(made.containers[0], "") if made.containers else ""
        known = mode if mode in OUTCOMES else ""  # of an earlier injection, as its pod tells it
        dry_run = "true" if answer.dry_run else "false"
        self._admissions.labels(made.decision, made.reason, known, dry_run).inc()
        self._seconds.observe(seconds)

    def render(self) -> bytes:
        """The text format."""
        return generate_latest(self.registry)
