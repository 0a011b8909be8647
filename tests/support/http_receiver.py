# SPDX-License-Identifier: Apache-2.0
"""A receiver in the test's own process, which gives the answers that it is told to give."""

import asyncio

import cramjam
from aiohttp import web
from aiohttp.test_utils import TestServer
from isal import igzip
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from primus_lens_exporter.remote_write.request_v2 import RequestV2
from primus_lens_exporter.remote_write.write_request import WriteRequest


class Receiver:
    """Gives each request the next answer, the default when there are no more; keeps them all.

    An answer is a status, the arguments of a Response, `hang`, `drop`, or a function of the body
    that returns one of these.
    """

    default = 204

    def __init__(self, *answers):
        self.answers = list(answers)
        self.bodies, self.headers, self.paths = [], [], []

    async def __aenter__(self):
        app = web.Application()
        app.router.add_post("/{tail:.*}", self.answer)
        self.server = TestServer(app)
        await self.server.start_server()
        self.url = str(self.server.make_url("/api/v1/write"))
        return self

    async def __aexit__(self, *_):
        await self.server.close()

    async def answer(self, request):
        self.bodies.append(await _body(request))
        self.headers.append(request.headers)
        self.paths.append(request.path)
        answer = self.answers.pop(0) if self.answers else self.default
        if callable(answer):
            answer = answer(self.bodies[-1])
        if answer == "hang":
            await asyncio.sleep(20)
        if answer == "drop":
            request.transport.abort()
        if isinstance(answer, int):
            return web.Response(status=answer, text="out of order sample")
        return web.Response(**answer) if isinstance(answer, dict) else web.Response()

    def samples(self, *, once=False):
        """What arrived: {series: [(milliseconds, value), …]}; `once`: repeated requests once."""
        found, requests = {}, list(zip(self.bodies, self.headers, strict=True))
        for body, headers in dict(requests).items() if once else requests:
            for labels, sample in decoded(body, headers):
                found.setdefault(labels, []).append(sample)
        return found


async def _body(request):
    """As it was sent: aiohttp takes gzip away."""
    body = await request.read()
    return igzip.compress(body) if request.headers["Content-Encoding"] == "gzip" else body


def decoded(body, headers):
    """[(labels, (milliseconds, value)), …] of a request of any protocol."""
    if headers["Content-Encoding"] == "gzip":
        return list(_of_otlp(ExportMetricsServiceRequest.FromString(igzip.decompress(body))))
    plain = bytes(cramjam.snappy.decompress_raw(body))
    if "proto=" in headers["Content-Type"]:
        return list(_of_v2(RequestV2.FromString(plain)))
    return list(_of_v1(WriteRequest.FromString(plain)))


def _of_v1(request):
    for series in request.timeseries:
        labels = tuple((label.name, label.value) for label in series.labels)
        for sample in series.samples:
            yield labels, (sample.timestamp, sample.value)


def _of_v2(request):
    for series in request.timeseries:
        texts = [request.symbols[number] for number in series.labels_refs]
        for sample in series.samples:
            yield tuple(zip(texts[::2], texts[1::2], strict=True)), (sample.timestamp, sample.value)


def _of_otlp(request):
    for metric in request.resource_metrics[0].scope_metrics[0].metrics:
        for point in getattr(metric, metric.WhichOneof("data")).data_points:
            pairs = ((each.key, each.value.string_value) for each in point.attributes)
            labels = ("__name__", metric.name), *pairs
            yield tuple(sorted(labels)), (point.time_unix_nano // 1_000_000, point.as_double)
