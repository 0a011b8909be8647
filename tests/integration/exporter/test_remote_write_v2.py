# SPDX-License-Identifier: Apache-2.0
"""Remote write 2.0, and what is spoken with a receiver that does not know it."""

import cramjam
import pytest
from primus_lens_exporter.remote_write.request_v2 import RequestV2

from support.http_receiver import Receiver, decoded
from support.sending import V1, V2
from support.sent import asynchronous, log
from support.serving import record

NAME = "X-Prometheus-Remote-Write-Samples-Written"


def written(count, status=204, text=""):
    return {"status": status, "headers": {NAME: str(count)}, "text": text}


def all_written(body):
    request = RequestV2.FromString(bytes(cramjam.snappy.decompress_raw(body)))
    return written(sum(len(series.samples) for series in request.timeseries))


def versions(receiver):
    return [headers["X-Prometheus-Remote-Write-Version"] for headers in receiver.headers]


def lines(count):
    return [record(None, f"r{i}", 1.5 + i, loss=i) for i in range(count)]


@asynchronous
async def test_a_request_is_as_the_specification_wants_it(rank, send):
    sample = record(None, "r", 1700000000.5, _primus_sys_network_receive_bytes_total=5)
    log(rank, record(7, "r", 1700000000.123, loss=1), sample[:-2] + b',"sample":true}\n')
    async with Receiver(all_written) as receiver, send(receiver.url, protocol=V2) as sending:
        await sending.wait(3, "samples_total", result="sent")
    (headers,), (body,) = receiver.headers, receiver.bodies
    assert headers["Content-Type"] == "application/x-protobuf;proto=io.prometheus.write.v2.Request"
    assert (headers["Content-Encoding"], versions(receiver)) == ("snappy", ["2.0.0"])
    request = RequestV2.FromString(bytes(cramjam.snappy.decompress_raw(body)))
    assert request.symbols[0] == ""
    assert len(set(request.symbols)) == len(request.symbols)
    described = [
        (each.metadata.type, request.symbols[each.metadata.help_ref], each.samples[0])
        for each in request.timeseries
    ]
    step, loss, received = described
    assert (step[:2], loss[:2]) == ((2, "Step of each log call that was not late."),
                                    (2, "Value logged under each key."))  # fmt: skip
    assert received[:2] == (1, "Bytes received on the pod's interfaces.")
    assert [each[2].start_timestamp for each in described] == [0, 0, 1700000000500]


@pytest.mark.parametrize("answer", [415, 204, 200, 400])
@asynchronous
async def test_a_receiver_that_does_not_know_it_gets_1_0_at_once_and_from_then_on(
    rank, send, caplog, answer
):
    log(rank, *lines(3))
    async with Receiver(answer) as receiver, send(receiver.url, protocol=V2) as sending:
        await sending.wait(3, "samples_total", result="sent")
        log(rank, record(None, "new", loss=4))
        await sending.wait(4, "samples_total", result="sent")
        assert sending.value("requests_total", result="renegotiated") == 1
    assert versions(receiver) == ["2.0.0", "0.1.0", "0.1.0"]
    first, second = (decoded(receiver.bodies[i], receiver.headers[i]) for i in (0, 1))
    assert first == second
    said = [each for each in caplog.records if "falling back" in each.msg]
    assert len(said) == 1


@asynchronous
async def test_what_neither_version_helps_is_refused_after_two_requests(rank, send):
    log(rank, record(None, loss=1))
    async with Receiver() as receiver, send(receiver.url, protocol=V2) as sending:
        receiver.default = 415
        await sending.wait(1, "samples_total", result="refused")
    assert versions(receiver) == ["2.0.0", "0.1.0"]


PARTIAL = [
    ([written(3, 400, "2 samples out of order")], 3, 2, 1),
    ([written(3)], 3, 2, 1),  # against the specification
    ([written(99)], 5, 0, 1),
    ([written("", 400, "?"), all_written, all_written], 5, 0, 3),  # nothing written: in halves
    ([written(3, 503, "busy"), all_written], 5, 0, 2),
]


@pytest.mark.parametrize(("answers", "sent", "refused", "requests"), PARTIAL)
@asynchronous
async def test_what_was_written_is_counted_as_the_receiver_says(
    rank, send, answers, sent, refused, requests
):
    log(rank, *lines(5))
    async with Receiver(*answers) as receiver, send(receiver.url, protocol=V2) as sending:
        await sending.wait(sent, "samples_total", result="sent")
        await sending.wait(refused, "samples_total", result="refused")
    assert versions(receiver) == ["2.0.0"] * requests


@asynchronous
async def test_who_has_shown_that_it_knows_2_0_is_spoken_to_in_it(rank, send):
    async with Receiver(all_written, 400) as receiver, send(receiver.url, protocol=V2) as sending:
        log(rank, record(None, "a", loss=1))
        await sending.wait(1, "samples_total", result="sent")
        log(rank, record(None, "b", loss=1))
        await sending.wait(1, "samples_total", result="refused")
    assert versions(receiver) == ["2.0.0", "2.0.0"]


@pytest.mark.parametrize(("before", "after", "spoken"), [(V1, V2, "0.1.0"), (V2, V1, "0.1.0")])
@asynchronous
async def test_what_waits_in_the_spool_is_sent_after_the_setting_was_changed(
    rank, send, before, after, spoken
):
    log(rank, *lines(3))
    async with Receiver() as receiver:
        receiver.default = 500
        async with send(receiver.url, protocol=before) as sending:
            await sending.wait(1, "spool_entries")
        receiver.default, receiver.headers, receiver.bodies = 204, [], []
        async with send(receiver.url, protocol=after) as sending:
            await sending.wait(3, "samples_total", result="sent")
    assert versions(receiver) == [spoken]
    assert sum(map(len, receiver.samples().values())) == 3
