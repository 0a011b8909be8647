# SPDX-License-Identifier: Apache-2.0
"""The body of a request: `ExportMetricsServiceRequest`, gzipped.

The whole identity of a series is in the attributes of its data points, and neither a unit nor
a scope is named: receivers make a suffix of the metric's name of the one (Prometheus), and
labels of the other (VictoriaMetrics). So the series are the same as by remote write.
"""

from __future__ import annotations

import gzip
from collections.abc import Iterable, Sequence
from typing import Any

from isal import igzip
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.metrics.v1.metrics_pb2 import (
    AGGREGATION_TEMPORALITY_CUMULATIVE,
    Metric,
    NumberDataPoint,
    ScopeMetrics,
)

from primus_lens_exporter.metadata import COUNTERS, FAMILIES
from primus_lens_exporter.model.labels import Labels
from primus_lens_exporter.model.sample import Sample
from primus_lens_exporter.sending.counter_starts import CounterStarts
from primus_lens_exporter.sending.wire_format import Halves

NANOSECONDS = 1_000_000  # of a millisecond
GZIP_LEVEL = 1
COUNTER_NAMES = frozenset(name.encode() for name in COUNTERS)

Points = Any
"""The data points of one metric in a message, which grow by `add`."""


def identify(name: str, labels: Labels) -> bytes:
    """The metric's name, and a data point that has the attributes alone."""
    point = NumberDataPoint(attributes=attributes(sorted(labels)))
    return name.encode() + b"\0" + point.SerializeToString()


def attributes(pairs: Iterable[tuple[str, str]]) -> list[KeyValue]:
    """As the messages have them."""
    return [KeyValue(key=key, value=AnyValue(string_value=value)) for key, value in pairs]


def encode(samples: Sequence[Sample], resource: Sequence[KeyValue], starts: CounterStarts) -> bytes:
    """A body of one resource and one scope, with each metric once."""
    request = ExportMetricsServiceRequest()
    scope = _scope(request, resource)
    metrics: dict[bytes, Points] = {}
    for series, at, value in samples:
        metric, _, identity = series.id.partition(b"\0")
        if metric not in metrics:
            metrics[metric] = _add_metric(scope, metric.decode())
        point = metrics[metric].add()
        point.MergeFromString(identity)
        point.time_unix_nano = at * NANOSECONDS
        point.as_double = value
        if metric in COUNTER_NAMES:
            point.start_time_unix_nano = starts.start(series, at, value) * NANOSECONDS
    return _pack(request)


def halves(body: bytes) -> Halves | None:
    """Divide by series; one series by time; None for a single data point."""
    request = ExportMetricsServiceRequest.FromString(gzip.decompress(body))
    series = list(_by_series(request.resource_metrics[0].scope_metrics[0]).items())
    one = len(series) == 1
    if one:
        ((known, points),) = series
        parts = [[(known, part)] for part in _cut(points) if part]
    else:
        parts = [part for part in _cut(series) if part]
    if len(parts) < 2:
        return None
    resource = request.resource_metrics[0].resource.attributes
    return Halves([_part(part, resource) for part in parts], one)


def _scope(request: ExportMetricsServiceRequest, resource: Iterable[KeyValue]) -> ScopeMetrics:
    of_resource = request.resource_metrics.add()
    of_resource.resource.attributes.extend(resource)
    return of_resource.scope_metrics.add()


def _add_metric(scope: ScopeMetrics, name: str) -> Points:
    metric = scope.metrics.add(name=name, description=FAMILIES[name][1])
    if name not in COUNTERS:
        return metric.gauge.data_points
    metric.sum.aggregation_temporality = AGGREGATION_TEMPORALITY_CUMULATIVE
    metric.sum.is_monotonic = True
    return metric.sum.data_points


def _by_series(scope: ScopeMetrics) -> dict[tuple[str, bytes], list[NumberDataPoint]]:
    """The data points by metric and attributes, each in the order that it had."""
    found: dict[tuple[str, bytes], list[NumberDataPoint]] = {}
    for metric in scope.metrics:
        for point in _points(metric):
            identity = NumberDataPoint(attributes=point.attributes).SerializeToString()
            found.setdefault((metric.name, identity), []).append(point)
    return found


def _points(metric: Metric) -> Points:
    return (metric.sum if metric.HasField("sum") else metric.gauge).data_points


def _part(
    series: Sequence[tuple[tuple[str, bytes], Sequence[NumberDataPoint]]],
    resource: Iterable[KeyValue],
) -> tuple[bytes, int]:
    """A body of some series, and its samples."""
    request = ExportMetricsServiceRequest()
    scope = _scope(request, resource)
    metrics: dict[str, Points] = {}
    for (name, _), points in series:
        if name not in metrics:
            metrics[name] = _add_metric(scope, name)
        metrics[name].extend(points)
    return _pack(request), sum(len(points) for _, points in series)


def _cut(items: Sequence[Any]) -> list[Any]:
    middle = len(items) // 2
    return [items[:middle], items[middle:]]


def _pack(request: ExportMetricsServiceRequest) -> bytes:
    return igzip.compress(request.SerializeToString(), GZIP_LEVEL)
