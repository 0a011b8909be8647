# SPDX-License-Identifier: Apache-2.0
"""The body of remote write 2.0: `io.prometheus.write.v2.Request` in snappy's block format.

Each text stands once in a request, in its table of symbols; series refer to it by number.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Sequence
from typing import Any

import cramjam

from primus_lens_exporter.metadata import COUNTER, FAMILIES, GAUGE
from primus_lens_exporter.model.sample import Sample, Series
from primus_lens_exporter.remote_write.messages import (
    DOUBLE,
    INT32,
    INT64,
    STRING,
    UINT32,
    messages,
)
from primus_lens_exporter.remote_write.protobuf import SampleFrames, double, field, varint
from primus_lens_exporter.remote_write.write_request import TimeSeries, WriteRequest
from primus_lens_exporter.sending.counter_starts import CounterStarts

HEADERS = {
    "Content-Encoding": "snappy",
    "Content-Type": "application/x-protobuf;proto=io.prometheus.write.v2.Request",
    "X-Prometheus-Remote-Write-Version": "2.0.0",
}
TYPES = {COUNTER: 1, GAUGE: 2}  # METRIC_TYPE_…
KNOWN_SERIES = 1 << 16  # whose labels are kept decoded

SampleV2, _, _, RequestV2 = messages(
    "io.prometheus.write.v2",
    {
        "Sample": {"value": (1, DOUBLE), "timestamp": (2, INT64), "start_timestamp": (3, INT64)},
        "Metadata": {"type": (1, INT32), "help_ref": (3, UINT32), "unit_ref": (4, UINT32)},
        "TimeSeries": {
            "labels_refs": (1, [UINT32]),
            "samples": (2, "Sample"),
            "metadata": (5, ("Metadata",)),
        },
        "Request": {"symbols": (4, [STRING]), "timeseries": (5, "TimeSeries")},
    },
)


class Symbols(dict[str, bytes]):
    """The table of a request: each text, and the reference to it as it is written."""

    def __missing__(self, text: str) -> bytes:
        self[text] = reference = varint(len(self))
        return reference


def encode(samples: Sequence[Sample], starts: CounterStarts) -> bytes:
    """A request's body. Times of one series rise, as `SampleBuilder` makes them."""
    symbols, frames, request = Symbols({"": varint(0)}), SampleFrames(), []
    for series, points in _by_series(samples).items():
        texts, kind, about = _described(series.id)
        message = [field(1, b"".join(map(symbols.__getitem__, texts)))]
        for point in points:
            if kind == COUNTER:
                message.append(field(2, _counted(point, starts)))
            else:
                before, time = frames[point[1]]
                message += before, double(point[2]), time
        message.append(field(5, b"\x08" + varint(TYPES[kind]) + b"\x18" + symbols[about]))
        request.append(field(5, b"".join(message)))
    table = b"".join(field(4, text.encode()) for text in symbols)
    return bytes(cramjam.snappy.compress_raw(table + b"".join(request)))


def _by_series(samples: Sequence[Sample]) -> dict[Series, list[Sample]]:
    """Each in the order that it had."""
    found: dict[Series, list[Sample]] = {}
    for sample in samples:
        found.setdefault(sample[0], []).append(sample)
    return found


def _counted(sample: Sample, starts: CounterStarts) -> bytes:
    """A sample with its start."""
    start = starts.start(*sample)
    message = SampleV2(value=sample[2], timestamp=sample[1], start_timestamp=start)
    return bytes(message.SerializeToString())


def downgrade(request: Any) -> Any:
    """The same samples as a WriteRequest, for a receiver of 1.0."""
    symbols = list(request.symbols)
    old = WriteRequest()
    for series in request.timeseries:
        message = old.timeseries.add()
        texts = [symbols[number] for number in series.labels_refs]
        for name, value in zip(texts[::2], texts[1::2], strict=True):
            message.labels.add(name=name, value=value)
        for sample in series.samples:
            message.samples.add(value=sample.value, timestamp=sample.timestamp)
    return old


@functools.lru_cache(KNOWN_SERIES)
def _described(series: bytes) -> tuple[tuple[str, ...], str, str]:
    """Names and values of the labels in turn, type and help. Texts of many series are kept once."""
    labels = TimeSeries.FromString(series).labels
    texts = tuple(sys.intern(text) for each in labels for text in (each.name, each.value))
    return texts, *FAMILIES[texts[texts.index("__name__") + 1]]
