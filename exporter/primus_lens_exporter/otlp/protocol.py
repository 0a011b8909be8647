# SPDX-License-Identifier: Apache-2.0
"""OTLP over HTTP: what is posted, and what answers mean.

Source: the specification of OTLP 1.x, "OTLP/HTTP Response" (opentelemetry.io/docs/specs/otlp).
It names the statuses that are retried, and forbids to retry any other 4xx or 5xx.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsPartialSuccess,
    ExportMetricsServiceResponse,
)

from primus_lens_exporter.model.labels import Labels
from primus_lens_exporter.model.sample import Sample
from primus_lens_exporter.otlp import metrics_request
from primus_lens_exporter.sending.counter_starts import CounterStarts
from primus_lens_exporter.sending.wire_format import (
    TEXT_BYTES,
    Answer,
    Fate,
    Halves,
    Request,
    Verdict,
)

PROTOBUF = "application/x-protobuf"
HEADERS = {"Content-Encoding": "gzip", "Content-Type": PROTOBUF}
RETRYABLE = (429, 502, 503, 504)
# Answers that are about the samples; others (401, 404) would be the same for each half.
ABOUT_SAMPLES = (400, 413)


class Otlp:
    """The wire format. `resource` are attributes of the exporter itself."""

    def __init__(self, resource: Mapping[str, str]) -> None:
        self._resource = metrics_request.attributes(resource.items())

    def identify(self, name: str, labels: Labels) -> bytes:
        """The name and the attributes of a data point."""
        return metrics_request.identify(name, labels)

    def encode(self, samples: Sequence[Sample], starts: CounterStarts) -> bytes:
        """An `ExportMetricsServiceRequest`."""
        return metrics_request.encode(samples, self._resource, starts)

    def request(self, body: bytes) -> Request:
        """There is one form alone."""
        return Request(body, HEADERS)

    def judge(self, request: Request, answer: Answer, samples: int) -> Verdict:
        """Partial success is final too, and counted."""
        del request
        if answer.status < 300:
            said = _partial_success(answer)
            rejected = min(max(said.rejected_data_points, 0), samples)
            return Verdict(Fate.ACCEPTED, said.error_message[:TEXT_BYTES], samples - rejected)
        text = _status_message(answer)
        # A redirect is a wrong URL, which somebody will put right.
        if answer.status in RETRYABLE or answer.status < 400:
            return Verdict(Fate.RETRY, text)
        return Verdict(Fate.DIVIDE if answer.status in ABOUT_SAMPLES else Fate.REFUSED, text)

    def halves(self, body: bytes) -> Halves | None:
        """By series, or by time."""
        return metrics_request.halves(body)


def _partial_success(answer: Answer) -> ExportMetricsPartialSuccess:
    """Empty if all went well, or if the body is something else."""
    try:
        if _is_protobuf(answer):
            return ExportMetricsServiceResponse.FromString(answer.body).partial_success
    except DecodeError:
        pass
    return ExportMetricsPartialSuccess()


def _status_message(answer: Answer) -> str:
    """Of the `google.rpc.Status` that a refusal should be; else its text."""
    try:
        if _is_protobuf(answer):
            # The same numbers and types: `message` of Status is `error_message` here.
            status = ExportMetricsPartialSuccess.FromString(answer.body)
            return status.error_message[:TEXT_BYTES]
    except DecodeError:
        pass
    return answer.text


def _is_protobuf(answer: Answer) -> bool:
    return answer.headers.get("Content-Type", "").partition(";")[0].strip().lower() == PROTOBUF
