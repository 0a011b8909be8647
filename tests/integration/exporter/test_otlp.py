# SPDX-License-Identifier: Apache-2.0
"""OTLP over HTTP, as its specification has it. Real receivers are in test_receivers."""

import asyncio

import pytest
from isal import igzip
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsPartialSuccess,
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)
from primus_lens_exporter.otlp.config import endpoint
from primus_lens_exporter.sending.setup import CannotSend

from support import sending as senders
from support.http_receiver import Receiver, decoded
from support.sending import OTLP, PROTOCOLS, Sending, until
from support.sent import asynchronous, log
from support.serving import record

COUNTER = "primus_lens_system_network_receive_bytes_total"


def sample(at, value, run="r"):
    line = record(None, run, at, _primus_sys_network_receive_bytes_total=value)
    return line[:-2] + b',"sample":true}\n'


def partial(rejected, message):
    said = ExportMetricsPartialSuccess(rejected_data_points=rejected, error_message=message)
    body = ExportMetricsServiceResponse(partial_success=said).SerializeToString()
    return {"status": 200, "body": body, "content_type": "application/x-protobuf"}


def status(code, message):
    """A `google.rpc.Status`, whose text is its second field."""
    body = b"\x08\x03\x12" + bytes([len(message)]) + message
    return {"status": code, "body": body, "content_type": "application/x-protobuf"}


def metrics(receiver, number):
    """Those of one request, by their names."""
    request = ExportMetricsServiceRequest.FromString(igzip.decompress(receiver.bodies[number]))
    (resource,) = request.resource_metrics
    (scope,) = resource.scope_metrics
    named = {metric.name: metric for metric in scope.metrics}
    assert len(named) == len(scope.metrics)
    return resource.resource, named


@asynchronous
async def test_a_request_is_as_the_specification_wants_it(rank, send, tmp_path):
    (tmp_path / "config.yml").write_text(
        "resource_attributes: {service.name: lens}\nexternal_labels: {cluster: west}"
    )
    log(rank, record(7, "r", 1700000000.123, loss=0.5), sample(1700000001.5, 5))
    async with (
        Receiver() as receiver,
        send(receiver.url, tmp_path / "config.yml", protocol=OTLP) as sending,
    ):
        await sending.wait(3, "samples_total", result="sent")
    resource, named = metrics(receiver, 0)
    assert (receiver.headers[0]["Content-Type"], receiver.paths) == (
        "application/x-protobuf", ["/api/v1/write/v1/metrics"]
    )  # fmt: skip
    assert [(each.key, each.value.string_value) for each in resource.attributes] == [
        ("service.name", "lens")
    ]
    (loss,) = named["primus_lens_wandb_metric"].gauge.data_points
    assert (loss.time_unix_nano, loss.as_double) == (1700000000123000000, 0.5)
    assert {each.key: each.value.string_value for each in loss.attributes} == {
        "cluster": "west", "key": "loss", "local_rank": "1", "node_rank": "0", "run_id": "r"
    }  # fmt: skip
    assert not any(metric.unit for metric in named.values())
    total = named[COUNTER].sum
    assert (total.is_monotonic, total.aggregation_temporality) == (True, 2)  # cumulative


@asynchronous
async def test_a_counter_starts_at_its_first_sample_and_where_it_falls(rank, send):
    async with Receiver() as receiver:
        for at, value in ((100, 5), (200, 7), (300, 1), (400, 2)):  # over restarts of ours
            log(rank, sample(at, value))
            async with send(receiver.url, protocol=OTLP) as sending:
                await until(lambda: sending.value("newest_sent_timestamp_seconds") == at)  # noqa: B023
    points = [
        metrics(receiver, number)[1][COUNTER].sum.data_points[0]
        for number in range(len(receiver.bodies))
    ]
    times = {point.time_unix_nano // 10**9: point.start_time_unix_nano // 10**9 for point in points}
    assert times == {100: 100, 200: 100, 300: 300, 400: 300}


@pytest.mark.parametrize("answer", [429, 502, 503, 504, "drop", {"status": 307}])
@asynchronous
async def test_what_may_yet_succeed_is_sent_again_byte_for_byte(rank, send, answer):
    log(rank, record(1, loss=1))
    async with Receiver(answer) as receiver, send(receiver.url, protocol=OTLP) as sending:
        await sending.wait(2, "samples_total", result="sent")
    assert len(receiver.bodies) == 2
    assert decoded(receiver.bodies[0], receiver.headers[0]) == decoded(
        receiver.bodies[1], receiver.headers[1]
    )


@pytest.mark.parametrize("code", [400, 401, 404, 408, 413, 415, 500, 501])
@asynchronous
async def test_no_other_error_is_retried_and_the_receivers_message_is_said(
    rank, send, caplog, code
):
    log(rank, record(None, loss=1))
    async with (
        Receiver(status(code, b"no such metric")) as receiver,
        send(receiver.url, protocol=OTLP) as sending,
    ):
        await sending.wait(1, "samples_total", result="refused")
        assert sending.value("requests_total", result="retried") == 0
    (said,) = [each for each in caplog.records if each.msg == "samples refused for good"]
    assert (said.status, said.answer, len(receiver.bodies)) == (code, "no such metric", 1)


@pytest.mark.parametrize(("rejected", "refused"), [(2, 2), (0, 0), (99, 5), (-1, 0)])
@asynchronous
async def test_a_partial_success_is_counted_and_never_sent_again(rank, send, rejected, refused):
    log(rank, *(record(None, f"r{i}", loss=i) for i in range(5)))
    async with (
        Receiver(partial(rejected, "too old")) as receiver,
        send(receiver.url, protocol=OTLP) as sending,
    ):
        await sending.wait(refused, "samples_total", result="refused")
        await sending.wait(5 - refused, "samples_total", result="sent")
        assert sending.value("requests_total", result="sent") == 1
    assert len(receiver.bodies) == 1


@pytest.mark.parametrize("bad", [{3}, {0, 7, 11}])
@asynchronous
async def test_a_bad_sample_does_not_cost_the_others_of_its_request(rank, send, bad):
    def judge(body):
        found = decoded(body, {"Content-Encoding": "gzip"})
        return 400 if {value for _, (_, value) in found} & bad else 200

    log(rank, *(record(None, f"r{i % 4}", 1.5 + i, loss=i) for i in range(12)))
    async with Receiver(*[judge] * 99) as receiver, send(receiver.url, protocol=OTLP) as sending:
        await sending.wait(12 - len(bad), "samples_total", result="sent")
        await sending.wait(len(bad), "samples_total", result="refused")
    good = [body for body in receiver.bodies if judge(body) == 200]
    got = [each for body in good for each in decoded(body, {"Content-Encoding": "gzip"})]
    for series in {series for series, _ in got}:
        times = [at for each, (at, _) in got if each == series]
        assert times == sorted(times)


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("after", ["0", "Thu, 01 Jan 1970 00:00:00 GMT"])
@asynchronous
async def test_a_receiver_that_says_at_once_is_not_asked_in_a_hot_loop(rank, send, protocol, after):
    log(rank, record(None, loss=1))
    async with Receiver() as receiver, send(receiver.url, protocol=protocol):
        receiver.default = {"status": 429, "headers": {"Retry-After": after}}
        await until(lambda: receiver.bodies)
        await asyncio.sleep(1)
        assert len(receiver.bodies) < 8  # 50 ms, doubled each time, less a half


@asynchronous
async def test_both_protocols_at_once_share_a_spool_directory(tmp_path, rank):
    log(rank, record(1, loss=1), record(2, loss=2))
    async with Receiver() as receiver:
        flags = [
            flag
            for protocol in PROTOCOLS[1:]
            for flag in senders.flags(receiver.url, tmp_path / "spool", protocol)
        ]
        with senders.process(tmp_path / "records", *flags):
            await until(lambda: sum(map(len, receiver.samples().values())) >= 12)
    assert {path.stem for path in (tmp_path / "spool").glob("*.sqlite")} == {"otlp", "remote_write"}
    assert {headers["Content-Encoding"] for headers in receiver.headers} == {"gzip", "snappy"}


ENDPOINTS = [
    ("http://c:4318", "http://c:4318/v1/metrics"),
    ("http://c:4318/", "http://c:4318/v1/metrics"),
    ("https://p/api/v1/otlp", "https://p/api/v1/otlp/v1/metrics"),
    ("https://p/api/v1/otlp/v1/metrics", "https://p/api/v1/otlp/v1/metrics"),
    (
        "http://v/insert/0/opentelemetry/v1/metrics/?a=b%20c",
        "http://v/insert/0/opentelemetry/v1/metrics?a=b%20c",
    ),
]


@pytest.mark.parametrize(("given", "posted"), ENDPOINTS)
def test_the_path_of_the_specification_is_added_to_an_endpoint(given, posted):
    assert str(endpoint(given)) == posted


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("endpoint: http://x", "give it as --otlp.endpoint"),
        ("resource_attributes: {'': x}", "a name is empty"),
        ("resource_attributes: {a: 1}", "$.resource_attributes"),
        ("headers: {content-encoding: x}", "is set by the exporter"),
        ("headers: {user-agent: x}", "is set by the exporter"),
        ("protobuf_message: x", "unknown field"),
    ],
)
def test_a_bad_configuration_is_one_line(tmp_path, text, said):
    (tmp_path / "config.yml").write_text(text)
    with pytest.raises(CannotSend, match=r"^--otlp\.config\.file: ") as failure:
        Sending(tmp_path, tmp_path / "spool", "http://x/", tmp_path / "config.yml", protocol=OTLP)
    assert said in str(failure.value)
    assert "\n" not in str(failure.value)
