# SPDX-License-Identifier: Apache-2.0
"""What an HTTP server of ours rejects, by reason, and counts. Must not load a server library."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter

REASONS = (
    "too_many_connections",
    "displaced",
    "accept_error",
    "tls_handshake",
    "client_certificate",
    "slow_client",
    "client_left",
    "bad_request",
    "method",
    "cross_site",
    "unauthorized",
    "login_queue",
)


class Rejections:
    """Counts them. `prefix` is the daemon's, as `primus_lens_exporter_`."""

    def __init__(self, registry: CollectorRegistry, prefix: str) -> None:
        self._rejected = Counter(
            f"{prefix}http_rejected_total",
            "Connections and requests that were refused, by reason.",
            ["reason"],
            registry=registry,
        )
        self.reloads = Counter(
            f"{prefix}web_config_reload_failures_total",
            "Changes of the web configuration that were refused.",
            registry=registry,
        )
        for reason in REASONS:
            self._rejected.labels(reason)

    def count(self, reason: str) -> None:
        """One of REASONS."""
        self._rejected.labels(reason).inc()
