# SPDX-License-Identifier: Apache-2.0
"""Records in real receivers by each protocol, whatever dies in between."""

import asyncio
import math
import random
import time

import pytest

from support import receiver, sending, serving
from support.chart.alert_expressions import expressions
from support.sending import OTLP, V1, V2, until
from support.sent import asynchronous, expected, log, received, write
from support.serving import record

PROMETHEUS_2, PROMETHEUS_3 = receiver.Prometheus, receiver.Prometheus3
VICTORIA_METRICS = receiver.VictoriaMetrics
SPOKEN = [
    (PROMETHEUS_2, V2), (PROMETHEUS_3, V1), (PROMETHEUS_3, V2),
    (VICTORIA_METRICS, V1), (VICTORIA_METRICS, V2), (VICTORIA_METRICS, OTLP),
]  # fmt: skip
COUNTER, GAUGE = "primus_lens_system_container_cpu_seconds_total", "primus_lens_system_processes"


@pytest.fixture(params=SPOKEN, ids=lambda pair: f"{pair[0].__name__}-{pair[1]}")
def spoken(request, tmp_path):
    """A real receiver, and what is spoken to it."""
    kind, protocol = request.param
    with kind(tmp_path / "receiver") as each:
        yield each, protocol


@pytest.fixture
def send_to(send, spoken):
    """Sends to it."""
    each, protocol = spoken
    return lambda: send(url_of(each, protocol), protocol=protocol)


def url_of(each, protocol):
    return each.otlp_url if protocol == OTLP else each.write_url


def until_it_has(each, wanted, at):
    """Each sample once, and no other."""
    serving.until(lambda: times(received(each, at)) == times(wanted), 60)
    found = received(each, at)
    pairs = [pair for series in wanted for pair in zip(found[series], wanted[series], strict=True)]
    assert all(each.same(value, other) for (_, value), (_, other) in pairs)


def times(samples):
    return {series: [at for at, _ in values] for series, values in samples.items()}


@asynchronous
async def test_series_and_values_are_the_same_by_every_protocol(rank, spoken, send_to, start):
    odd = ["Infinity", "-Infinity", 1e-300, -0.0, 0]
    log(rank, *(record(i, "r", start + i, **{"a/b é": v}) for i, v in enumerate(odd)))
    async with send_to() as sent:
        await sent.wait(13, "samples_total", result="sent")
        assert sent.value("samples_total", result="refused") == 0
    names = {"local_rank": "1", "node_rank": "0", "run_id": "r"}
    found = spoken[0].samples('{__name__=~"primus_lens_wandb_.*"}', start + 600)
    metric = {**names, "__name__": "primus_lens_wandb_metric", "key": "a/b é"}
    step = {**names, "__name__": "primus_lens_wandb_step"}
    counter = {**metric, "__name__": "primus_lens_wandb_not_finite_total"}
    assert set(found) == {tuple(sorted(each.items())) for each in (metric, step, counter)}
    times = [round((start + i) * 1000) for i in range(5)]
    values = [(at, float(text)) for at, text in found[tuple(sorted(metric.items()))]]
    assert values == list(zip(times, map(float, odd), strict=True))


@asynchronous
async def test_system_series_keep_their_names_and_no_other_series_comes(
    rank, spoken, send_to, start
):
    data = {"_primus_container_cpu_seconds_total": 3.5, "_primus_process_count": 4.0}
    lines = [record(None, "", start + i, **data)[:-2] + b',"sample":true}\n' for i in range(3)]
    log(rank, *lines)
    async with send_to() as sent:
        await sent.wait(6, "samples_total", result="sent")
    found = spoken[0].count('{__name__=~".+"}', start + 600)
    assert {dict(labels)["__name__"]: count for labels, count in found.items()} == {
        COUNTER: 3, GAUGE: 3
    }  # fmt: skip


@asynchronous
async def test_nan_is_sent_as_a_plain_one(rank, spoken, send_to, start):
    log(rank, *(record(None, "r", start + i, loss="NaN") for i in range(2)))
    async with send_to() as sent:
        await sent.wait(5, "samples_total", result="sent")
    (found,) = spoken[0].samples("primus_lens_wandb_metric", start + 600).values() or [[]]
    if isinstance(spoken[0], VICTORIA_METRICS):
        assert found == []  # it keeps no NaN
    else:
        assert [math.isnan(float(text)) for _, text in found] == [True, True]


@asynchronous
async def test_the_alert_sees_a_loss_that_is_not_finite_until_it_is(rank, spoken, send_to, start):
    values = 1, 1, "NaN", "Infinity", 1, 1
    log(rank, *(record(None, "r", start + 30 * i, loss=v) for i, v in enumerate(values)))
    async with send_to() as sent:
        await sent.wait(len(values) + 3, "samples_total", result="sent")
    spoken[0].samples("primus_lens_wandb_metric", start + 600)  # VictoriaMetrics: all is there
    expression = expressions()["PrimusLensLossNotFinite"]
    seen = [spoken[0].query(expression, start + 30 * i + 20) for i in range(len(values))]
    assert [bool(each) for each in seen] == [False, False, True, True, False, False]
    assert seen[2] == [({"key": "loss", "run_id": "r"}, "1")]


@pytest.mark.exhaustive
@asynchronous
async def test_a_receiver_that_is_killed_gets_everything_once(tmp_path, spoken, send_to, start):
    total = write(tmp_path / "records", 16, 400, 10, start)
    async with send_to() as sent:
        await until(lambda: sent.settled >= total * 0.3)
        spoken[0].kill()
        await asyncio.sleep(0.5)
        await asyncio.to_thread(spoken[0].start)
        await until(lambda: sent.settled >= total)
        assert sent.value("samples_total", result="refused") == 0
    if not isinstance(spoken[0], VICTORIA_METRICS):  # it has no write-ahead log
        until_it_has(spoken[0], expected(tmp_path / "records"), start + 600)


@pytest.mark.exhaustive
@pytest.mark.timeout(180)
def test_a_sender_that_is_killed_again_and_again(tmp_path, spoken, start):
    records, each, protocol = tmp_path / "records", *spoken
    flags = sending.flags(url_of(each, protocol), tmp_path / "spool", protocol)
    for part in range(6):
        write(records, 16, 300, 10, start + 30 * part, seed=part)
        with sending.process(records, *flags) as process:
            time.sleep(0.8 + random.random())
            process.kill()
    with sending.process(records, *flags) as process:
        until_it_has(each, expected(records), start + 600)
        process.terminate()
        assert process.wait(10) == 0


@pytest.mark.exhaustive
@asynchronous
async def test_a_pod_with_a_wrong_clock_loses_its_own_samples_alone(
    tmp_path, rank, spoken, send_to, start
):
    if isinstance(spoken[0], VICTORIA_METRICS):
        pytest.skip("takes samples of any time")
    late = tmp_path / "records" / "node_1" / "rank_0"
    late.mkdir(parents=True)
    async with send_to() as sent:
        log(rank, record(None, "good", start, loss=0))
        await sent.wait(1, "samples_total", result="sent")
        for i in range(1, 50):
            log(rank, record(None, "good", start + i, loss=i))
            log(late, record(None, "late", start - 7200 + i, loss=i))
        await sent.wait(50, "samples_total", result="sent")
        await sent.wait(49, "samples_total", result="refused")
    assert {len(each) for each in received(spoken[0], start + 100).values()} == {50}
