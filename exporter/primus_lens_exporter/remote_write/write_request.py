# SPDX-License-Identifier: Apache-2.0
"""The body of remote write 1.0: `prometheus.WriteRequest` in snappy's block format."""

from __future__ import annotations

from collections.abc import Sequence

import cramjam

from primus_lens_exporter.model.labels import Labels
from primus_lens_exporter.model.sample import Sample, Series
from primus_lens_exporter.remote_write.messages import DOUBLE, INT64, STRING, messages
from primus_lens_exporter.remote_write.protobuf import SampleFrames, double, field

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
    frames, request = SampleFrames(), []
    for series, points in by_series(samples).items():
        message = [series.id]
        for _, at, value in points:
            before, time = frames[at]
            message += before, double(value), time
        request.append(field(1, b"".join(message)))
    return bytes(cramjam.snappy.compress_raw(b"".join(request)))


def by_series(samples: Sequence[Sample]) -> dict[Series, list[Sample]]:
    """Each in the order that it had."""
    found: dict[Series, list[Sample]] = {}
    for sample in samples:
        found.setdefault(sample[0], []).append(sample)
    return found
