# SPDX-License-Identifier: Apache-2.0
"""Remote write 1.0 and 2.0: which of them a request is sent in, and what answers mean.

Sources: the specifications of both (prometheus.io/docs/specs/prw). A receiver that does not
know 2.0 gets 1.0: it answers 415, or, if it only knows 1.0, 400, or success without a word
on how much it has written. Whatever version is in the spool, it is sent in the one that the
receiver knows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import cramjam

from primus_lens_exporter.model.labels import Labels
from primus_lens_exporter.model.sample import Sample
from primus_lens_exporter.remote_write import request_v2, write_request
from primus_lens_exporter.remote_write.request_v2 import RequestV2
from primus_lens_exporter.remote_write.write_request import WriteRequest
from primus_lens_exporter.sending.counter_starts import CounterStarts
from primus_lens_exporter.sending.wire_format import Answer, Fate, Halves, Request, Verdict

V1, V2 = "1.0", "2.0"
WRITTEN = tuple(
    f"X-Prometheus-Remote-Write-{kind}-Written" for kind in ("Samples", "Histograms", "Exemplars")
)
# Answers that are about the samples; others (401, 404) would be the same for each half.
ABOUT_SAMPLES = (400, 409, 413, 422)


class RemoteWrite:
    """The wire format of one receiver. `version` is 2.0 until the receiver does not know it."""

    def __init__(self, version: str) -> None:
        self._version = version
        self._confirmed = False
        """Whether the receiver has shown that it knows 2.0."""

    def identify(self, name: str, labels: Labels) -> bytes:
        """That of 1.0 for both, so that series stay what they were when the setting changes."""
        return write_request.identify(name, labels)

    def encode(self, samples: Sequence[Sample], starts: CounterStarts) -> bytes:
        """In the version that the receiver knows, as far as it has said by now."""
        if self._version == V2:
            return request_v2.encode(samples, starts)
        return write_request.encode(samples)

    def request(self, body: bytes) -> Request:
        """As it is, but for a body of 2.0 where 1.0 is spoken."""
        plain = _unpack(body)
        if _is_v2(plain):
            if self._version == V2:
                return Request(body, request_v2.HEADERS)
            old = request_v2.downgrade(RequestV2.FromString(plain))
            return Request(_pack(old), write_request.HEADERS)
        return Request(body, write_request.HEADERS)

    def judge(self, request: Request, answer: Answer, samples: int) -> Verdict:
        """By the specification of the version in which the request was sent."""
        status, written = answer.status, samples if answer.status < 300 else 0
        if request.headers is request_v2.HEADERS:
            said = _written(answer.headers)
            if said is None and self._unknown(status):
                self._version = V1
                return Verdict(Fate.RENEGOTIATE, answer.text)
            self._confirmed = self._confirmed or said is not None
            written = min(said or 0, samples)
        if status < 300:
            return Verdict(Fate.ACCEPTED, answer.text, written)
        if status >= 500 or status == 429 or status < 400:  # a redirect: somebody corrects the URL
            return Verdict(Fate.RETRY, answer.text)
        if written == 0 and status in ABOUT_SAMPLES:
            return Verdict(Fate.DIVIDE, answer.text)
        return Verdict(Fate.REFUSED, answer.text, written)

    def halves(self, body: bytes) -> Halves | None:
        """Each in the version of the body."""
        plain = _unpack(body)
        whole = (RequestV2 if _is_v2(plain) else WriteRequest).FromString(plain)
        series = whole.timeseries
        one = len(series) == 1
        parts = _cut(series[0].samples if one else series)
        if not all(parts):
            return None
        requests = [_with(whole, part, one=one) for part in parts]
        return Halves([(_pack(each), _count(each)) for each in requests], one)

    def _unknown(self, status: int) -> bool:
        """Whether an answer without a word on what was written says that 2.0 is not known."""
        return status < 300 or status == 415 or (status == 400 and not self._confirmed)


def _written(headers: Mapping[str, str]) -> int | None:
    """Samples that the receiver says it has written; None if it says nothing at all."""
    if not any(name in headers for name in WRITTEN):
        return None
    said = headers.get(WRITTEN[0], "")
    return int(said[:18]) if said.isascii() and said.isdigit() else 0


def _is_v2(plain: bytes) -> bool:
    """A Request begins with its symbols, field 4; a WriteRequest with its series, field 1."""
    return plain[:1] == b"\x22"


def _with(whole: Any, part: Any, *, one: bool) -> Any:
    """A request of a part of the series, or of the samples of its only one."""
    request = type(whole)()
    if one:
        series = request.timeseries.add()
        series.CopyFrom(whole.timeseries[0])
        del series.samples[:]
        series.samples.extend(part)
    else:
        request.timeseries.extend(part)
    if isinstance(whole, RequestV2):
        request.symbols.extend(whole.symbols)
    return request


def _cut(items: Any) -> list[Any]:
    middle = len(items) // 2
    return [items[:middle], items[middle:]]


def _unpack(body: bytes) -> bytes:
    return bytes(cramjam.snappy.decompress_raw(body))


def _pack(request: Any) -> bytes:
    return bytes(cramjam.snappy.compress_raw(request.SerializeToString()))


def _count(request: Any) -> int:
    return sum(len(series.samples) for series in request.timeseries)
