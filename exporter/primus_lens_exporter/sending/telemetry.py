# SPDX-License-Identifier: Apache-2.0
"""What sending tells of itself: `primus_lens_exporter_remote_write_*` and `…_otlp_*`."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge

from primus_lens_exporter import samples

REMOTE_WRITE, OTLP = "remote_write", "otlp"

SENT, REFUSED, DUPLICATE = "sent", "refused", "duplicate"
RETRIED, RENEGOTIATED = "retried", "renegotiated"
SAMPLE_RESULTS = (SENT, REFUSED, DUPLICATE)
REQUEST_RESULTS = (SENT, REFUSED, RETRIED, RENEGOTIATED)


class SendingTelemetry:
    """Counters and gauges of one outbox, named by its protocol."""

    def __init__(self, registry: CollectorRegistry, protocol: str) -> None:
        prefix = f"primus_lens_exporter_{protocol}_"

        def counter(name: str, help: str, *labels: str) -> Counter:
            return Counter(prefix + name, help, labels, registry=registry)

        def gauge(name: str, help: str) -> Gauge:
            return Gauge(prefix + name, help, registry=registry)

        self.samples = counter(
            "samples_total", "Samples that left the spool, by what the receiver did.", "result"
        )
        self.requests = counter("requests_total", "Requests made, by their outcome.", "result")
        self.dropped = counter(
            "dropped_samples_total", "Samples that were not sent, by reason.", "reason"
        )
        self.set_aside = counter(
            "spools_set_aside_total", "Spools that could not be read, and were replaced."
        )
        self.spool_errors = counter(
            "spool_errors_total", "Writes to the spool that failed and are tried again."
        )
        self.waits = counter(
            "backpressure_total", "Times that reading stopped since the spool took no more."
        )
        self.waited = counter(
            "backpressure_seconds_total", "Seconds for which lines waited in their files."
        )
        self.spool_bytes = gauge("spool_bytes", "Bytes of the requests that wait in the spool.")
        self.spool_entries = gauge("spool_entries", "Requests that wait in the spool.")
        self.newest_sent = gauge(
            "newest_sent_timestamp_seconds", "Time of the newest sample that was acknowledged."
        )
        self._start_from_zero()

    def _start_from_zero(self) -> None:
        """A counter that appears with its first error hides that error from `increase`."""
        for result in SAMPLE_RESULTS:
            self.samples.labels(result)
        for result in REQUEST_RESULTS:
            self.requests.labels(result)
        for reason in samples.DROPPED:
            self.dropped.labels(reason)
