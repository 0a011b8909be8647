# SPDX-License-Identifier: Apache-2.0
"""The body of remote write 1.0: `prometheus.WriteRequest` in snappy's block format."""

from __future__ import annotations

from collections.abc import Sequence

import cramjam

from primus_lens_exporter.model.labels import Labels
from primus_lens_exporter.model.sample import Sample, Series
from primus_lens_exporter.remote_write.messages import DOUBLE, INT64, STRING, messages
from primus_lens_exporter.remote_write.protobuf import FieldHeads, SampleFrames, double

HEADERS = {
    "Content-Encoding": "snappy",
    "Content-Type": "application/x-protobuf",
    "X-Prometheus-Remote-Write-Version": "0.1.0",
}

Label, WriteSample, TimeSeries, WriteRequest = messages(
    "prometheus",
    {
        "Label": {"name": (1, STRING), "value": (2, STRING)},
        "Sample": {"value": (1, DOUBLE), "timestamp": (2, INT64)},
        "TimeSeries": {"labels": (1, "Label"), "samples": (2, "Sample")},
        "WriteRequest": {"timeseries": (1, "TimeSeries")},
    },
)


def identify(name: str, labels: Labels) -> bytes:
    """A series' labels, encoded once; sorted by name, as the protocol wants them."""
    pairs = sorted((("__name__", name), *labels))
    message = TimeSeries(labels=[{"name": name, "value": value} for name, value in pairs])
    return bytes(message.SerializeToString())


def encode(samples: Sequence[Sample]) -> bytes:
    """A request's body. Times of one series rise, as `SampleBuilder` makes them."""
    frames, heads = SampleFrames(), FieldHeads(1)
    request: list[bytes] = []
    messages: dict[Series, list[bytes]] = {}
    for series, at, value in samples:
        before, time = frames[at]
        if series in messages:
            messages[series] += before, double(value), time
        else:
            messages[series] = [series.id, before, double(value), time]
    for message in messages.values():
        content = b"".join(message)
        request += heads[len(content)], content
    return bytes(cramjam.snappy.compress_raw(b"".join(request)))
