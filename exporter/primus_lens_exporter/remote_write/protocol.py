# SPDX-License-Identifier: Apache-2.0
"""The body of a request: remote write 1.0, protobuf in snappy's block format.

The messages are those of `prompb/remote.proto` and `prompb/types.proto` of Prometheus, as
far as they are used here.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import cramjam
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

from primus_lens_exporter.model.labels import Labels
from primus_lens_exporter.samples import Sample, Series

HEADERS = {
    "Content-Encoding": "snappy",
    "Content-Type": "application/x-protobuf",
    "X-Prometheus-Remote-Write-Version": "0.1.0",
}
REQUEST_SAMPLES = 2000  # as Prometheus itself sends; receivers bound a request's size


def _messages() -> tuple[type[Any], type[Any]]:
    """WriteRequest and TimeSeries."""
    kind = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(name="remote.proto", package="prometheus")
    file.syntax = "proto3"

    def message(name: str, *fields: tuple[str, Any]) -> None:
        described = file.message_type.add(name=name)
        for number, (field, of) in enumerate(fields, 1):
            if isinstance(of, str):
                repeated = described.field.add(name=field, number=number, label="LABEL_REPEATED")
                repeated.type_name = f".prometheus.{of}"
            else:
                described.field.add(name=field, number=number, label="LABEL_OPTIONAL", type=of)

    message("Label", ("name", kind.TYPE_STRING), ("value", kind.TYPE_STRING))
    message("Sample", ("value", kind.TYPE_DOUBLE), ("timestamp", kind.TYPE_INT64))
    message("TimeSeries", ("labels", "Label"), ("samples", "Sample"))
    message("WriteRequest", ("timeseries", "TimeSeries"))
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(file.SerializeToString())
    found = (f"prometheus.{name}" for name in ("WriteRequest", "TimeSeries"))
    request, series = map(message_factory.GetMessageClass, map(pool.FindMessageTypeByName, found))
    return request, series


WriteRequest, TimeSeries = _messages()


def identify(name: str, labels: Labels) -> bytes:
    """A series' labels, encoded once; sorted by name, as the protocol wants them."""
    pairs = sorted((("__name__", name), *labels))
    message = TimeSeries(labels=[{"name": name, "value": value} for name, value in pairs])
    return bytes(message.SerializeToString())


def encode(samples: Iterable[Sample]) -> bytes:
    """A request's body. Times of one series rise, as `SampleBuilder` makes them."""
    by_series: dict[Series, list[tuple[int, float]]] = {}
    for series, at, value in samples:
        by_series.setdefault(series, []).append((at, value))
    request = WriteRequest()
    for series, points in by_series.items():
        message = request.timeseries.add()
        message.MergeFromString(series.id)
        add = message.samples.add
        for at, value in points:
            add(value=value, timestamp=at)
    return _pack(request)


class Halves(NamedTuple):
    """The same samples in two requests, each with its count."""

    parts: list[tuple[bytes, int]]
    one_series: bool


def halves(body: bytes) -> Halves | None:
    """Divide a request by series; one of a single series by time; one sample not at all."""
    request = WriteRequest()
    request.MergeFromString(bytes(cramjam.snappy.decompress_raw(body)))
    series = request.timeseries
    one = len(series) == 1
    parts = _cut(series[0].samples if one else series)
    if not all(parts):
        return None
    if one:
        labels = series[0].labels
        parts = [[TimeSeries(labels=labels, samples=part)] for part in parts]
    requests = [WriteRequest(timeseries=part) for part in parts]
    return Halves([(_pack(each), _count(each)) for each in requests], one)


def _cut(items: Any) -> list[Any]:
    middle = len(items) // 2
    return [items[:middle], items[middle:]]


def _pack(request: Any) -> bytes:
    return bytes(cramjam.snappy.compress_raw(request.SerializeToString()))


def _count(request: Any) -> int:
    return sum(len(series.samples) for series in request.timeseries)
