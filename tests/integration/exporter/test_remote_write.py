# SPDX-License-Identifier: Apache-2.0
"""Records of real files in a real Prometheus, whatever dies in between."""

import asyncio
import json
import math
import struct
import subprocess
import time

import pytest
from primus_lens_exporter.model.record import Record
from primus_lens_exporter.remote_write import config, write_request
from primus_lens_exporter.sending import outbox
from primus_lens_exporter.sending.setup import CannotSend
from primus_lens_exporter.sending.spool import Spool

from support.holding import Holder
from support.http_receiver import Receiver, decoded
from support.receiver import PASSWORD, USER, Prometheus
from support.sending import Sending, until
from support.sent import ALL, asynchronous, expected, log, received, write
from support.serving import late, record

# Of PASSWORD; made once, since few machines have a program for it.
BCRYPT = "$2b$04$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW"


@pytest.fixture
def prometheus(tmp_path):
    with Prometheus(tmp_path / "prometheus") as prometheus:
        yield prometheus


@pytest.mark.exhaustive
@pytest.mark.timeout(180)
@asynchronous
async def test_half_a_million_samples_with_a_receiver_that_is_killed_twice(
    tmp_path, prometheus, send, start
):
    total = write(tmp_path / "records", 64, 780, 10, start)
    assert total > 500_000
    async with send(prometheus.write_url) as sending:
        for part in (0.2, 0.6):
            await until(lambda: sending.settled >= total * part)  # noqa: B023
            prometheus.kill()
            await asyncio.sleep(0.5)
            await asyncio.to_thread(prometheus.start)
        await until(lambda: sending.settled >= total)
        assert sending.value("samples_total", result="refused") == 0
        assert sending.value("requests_total", result="retried") > 0
    assert received(prometheus, start + 600) == expected(tmp_path / "records")


def values(body):
    """Each sample's series and value."""
    return [(labels, value) for labels, (_, value) in decoded(body, write_request.HEADERS)]


@asynchronous
async def test_a_request_is_as_the_protocol_wants_it(rank, send):
    log(rank, record(7, "r", 1700000000.123, loss="NaN"))
    async with Receiver() as receiver, send(receiver.url) as sending:
        await sending.wait(4, "samples_total", result="sent")
    identity = (("local_rank", "1"), ("node_rank", "0"), ("run_id", "r"))
    name = "primus_lens_wandb_"
    step = (("__name__", name + "step"), *identity)
    loss = (("__name__", name + "metric"), ("key", "loss"), *identity)
    samples = receiver.samples()
    assert samples.pop(step) == [(1700000000123, 7)]
    ((at, value),) = samples.pop(loss)
    assert at == 1700000000123
    assert math.isnan(value)
    assert struct.pack(">d", value) != bytes.fromhex("7ff0000000000002")  # the stale marker
    counter = (("__name__", name + "not_finite_total"), ("key", "loss"), *identity)
    assert samples == {counter: [(1700000000122, 0), (1700000000123, 1)]}
    headers = receiver.headers[0]
    assert headers["Content-Encoding"] == "snappy"
    assert headers["Content-Type"] == "application/x-protobuf"
    assert headers["X-Prometheus-Remote-Write-Version"] == "0.1.0"
    assert headers["User-Agent"].startswith("primus-lens-exporter/")


@asynchronous
async def test_prometheus_gets_the_values_of_late_rows_and_not_their_steps(
    rank, send, prometheus, start
):
    rows = [record(step, "r", start + step, loss=step) for step in (1, 2, 3)]
    rows[2:2] = [late(900, "r", start + 2.5, a=9)]
    log(rank, *rows, record(1, "r", start + 4))  # back at a checkpoint
    async with send(prometheus.write_url) as sending:
        await sending.wait(8, "samples_total", result="sent")
    samples = received(prometheus, start + 600)
    at = round(start * 1000)
    steps = [(at + 1000, 1.0), (at + 2000, 2.0), (at + 3000, 3.0), (at + 4000, 1.0)]
    assert samples["0", "1", "r", ""] == steps
    assert samples["0", "1", "r", "a"] == [(at + 2500, 9.0)]


ELSEWHERE = {"status": 307, "headers": {"Location": "/elsewhere"}}
SOON = {"status": 429, "headers": {"Retry-After": "1"}}


@pytest.mark.exhaustive
@pytest.mark.parametrize(
    "answers", [[500], [503, 502, 500], [429], [SOON], [ELSEWHERE], ["drop"], ["hang"]]
)
@asynchronous
async def test_what_may_yet_succeed_is_sent_again_byte_for_byte(rank, send, tmp_path, answers):
    (tmp_path / "config.yml").write_text("remote_timeout: 500ms")
    log(rank, record(1, loss=1))
    began = time.monotonic()
    async with (
        Receiver(*answers) as receiver,
        send(receiver.url, tmp_path / "config.yml") as sending,
    ):
        await sending.wait(2, "samples_total", result="sent")
        assert sending.value("requests_total", result="retried") == len(answers)
    assert len(receiver.bodies) == len(answers) + 1
    assert len(set(receiver.bodies)) == 1
    if answers == [SOON]:
        assert time.monotonic() - began >= 1


@pytest.mark.exhaustive
@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 413])
@asynchronous
async def test_what_is_refused_for_good_is_dropped_and_said_once(rank, send, caplog, status):
    log(rank, *(record(None, f"r{i}", loss=i) for i in range(3)))
    refusal = {"status": status, "text": "no\nlevel=error " + "x" * 10_000}
    async with Receiver(*[refusal] * 20) as receiver, send(receiver.url) as sending:
        await sending.wait(3, "samples_total", result="refused")
        receiver.answers.clear()
        log(rank, record(None, "new", loss=4))
        await sending.wait(1, "samples_total", result="sent")
        assert sending.value("requests_total", result="retried") == 0
    (said,) = [each for each in caplog.records if each.msg == "samples refused for good"]
    assert said.status == status
    assert len(said.answer) < 300


@asynchronous
async def test_what_was_sent_before_and_is_refused_now_is_a_duplicate(rank, send):
    log(rank, record(1, loss=1))
    async with Receiver("drop", *[400] * 5) as receiver, send(receiver.url) as sending:
        await sending.wait(2, "samples_total", result="duplicate")
        assert sending.value("samples_total", result="refused") == 0


@pytest.mark.exhaustive
@pytest.mark.parametrize("bad", [{3}, {0, 7, 11}, {5, 6}])
@asynchronous
async def test_a_bad_sample_does_not_cost_the_others_of_its_request(rank, send, bad):
    def judge(body):
        return 400 if {value for _, value in values(body)} & bad else 204

    log(rank, *(record(None, f"r{i % 4}", 1.5 + i, loss=i) for i in range(12)))
    async with Receiver(*[judge] * 99) as receiver, send(receiver.url) as sending:
        await sending.wait(12 - len(bad), "samples_total", result="sent")
        await sending.wait(len(bad), "samples_total", result="refused")
        good = [body for body in receiver.bodies if judge(body) == 204]
    order = [(series, value) for body in good for series, value in values(body)]
    assert len(order) == 12 - len(bad)
    for series in {series for series, _ in order}:
        mine = [value for each, value in order if each == series]
        assert mine == sorted(mine)


@asynchronous
async def test_the_parts_of_one_series_stay_in_order(rank, send):
    newest = 4.0  # as a receiver that takes nothing older

    def judge(body):
        nonlocal newest
        found = [value for _, value in values(body)]
        if found[0] <= newest:
            return 400
        newest = found[-1]
        return 204

    log(rank, *(record(None, "r", 1.5 + i, loss=i) for i in range(16)))
    async with Receiver(*[judge] * 99) as receiver, send(receiver.url) as sending:
        await sending.wait(11, "samples_total", result="sent")
        await sending.wait(5, "samples_total", result="refused")


@pytest.mark.exhaustive
@asynchronous
async def test_a_pod_with_a_wrong_clock_loses_its_own_samples_alone(
    tmp_path, rank, prometheus, send, start
):
    late = tmp_path / "records" / "node_1" / "rank_0"
    late.mkdir(parents=True)
    async with send(prometheus.write_url) as sending:
        log(rank, record(None, "good", start, loss=0))
        await sending.wait(1, "samples_total", result="sent")
        for i in range(1, 50):
            log(rank, record(None, "good", start + i, loss=i))
            log(late, record(None, "late", start - 7200 + i, loss=i))
        await sending.wait(50, "samples_total", result="sent")
        await sending.wait(49, "samples_total", result="refused")
    assert {len(each) for each in received(prometheus, start + 100).values()} == {50}


@pytest.mark.exhaustive
@asynchronous
async def test_a_night_of_all_ranks_is_caught_up_with_and_nothing_refused(
    tmp_path, prometheus, send
):
    night = time.time() - 8.5 * 3600
    total = write(tmp_path / "records", 8, 3000, 10, night, interval=10)
    async with send(prometheus.write_url) as sending:
        await until(
            lambda: sending.settled + sending.value("samples_total", result="refused") >= total
        )
        assert sending.value("samples_total", result="refused") == 0
    assert received(prometheus, time.time()) == expected(tmp_path / "records")


@pytest.mark.exhaustive
@asynchronous
async def test_a_full_spool_leaves_lines_in_their_files(tmp_path, send):
    total = write(tmp_path / "records", 4, 5000, 10, time.time() - 600)
    limit = 200_000
    async with Receiver() as receiver, send(receiver.url, spool_bytes=limit) as sending:
        receiver.default = 500
        await sending.wait(1, "backpressure_total")
        await asyncio.sleep(1.5)
        # Each of the four ranks may have given it a chunk more before it said so.
        assert limit <= sending.value("spool_bytes") < 4 * limit
        assert sending.value("backpressure_seconds_total") > 0
        receiver.default = 204
        await sending.wait(total, "samples_total", result="sent")
        assert sum(map(len, receiver.samples(once=True).values())) == total
        await sending.wait(0, "spool_bytes")


@pytest.mark.exhaustive
@asynchronous
async def test_a_full_disk_leaves_lines_in_their_files(tmp_path, send, caplog):
    total = write(tmp_path / "records", 4, 1000, 10, time.time() - 600)
    async with Receiver() as receiver, send(receiver.url) as sending:
        database = sending.outbox._spool._db
        database.execute("pragma max_page_count = 20")
        await until(lambda: sending.value("spool_errors_total") >= 2)
        assert not sending.outbox.accepting
        database.execute("pragma max_page_count = 1000000")
        await sending.wait(total, "samples_total", result="sent")
    assert sum(map(len, receiver.samples().values())) == total
    said = [each for each in caplog.records if each.msg == "spool cannot be used, trying again"]
    assert len(said) == 1


@asynchronous
async def test_what_is_in_memory_at_a_shutdown_is_sent_by_the_next_exporter(tmp_path, rank, send):
    log(rank, *(record(i, "r", 1.5 + i, loss=i) for i in range(3)))
    async with Receiver() as receiver:
        receiver.default = 500
        async with send(receiver.url) as sending:
            await until(lambda: sending.outbox._batch)
        spool = Spool(tmp_path / "spool", "remote_write")
        assert (spool.entries, len(spool.positions())) == (1, 1)
        spool.close()
        receiver.default, receiver.bodies, receiver.headers = 204, [], []
        log(rank, *(record(i, "r", 1.5 + i, loss=i) for i in range(3, 6)))
        async with send(receiver.url) as sending:
            await sending.wait(12, "samples_total", result="sent")
    assert sum(map(len, receiver.samples().values())) == 12


@pytest.mark.exhaustive
@asynchronous
async def test_records_at_one_time_stay_apart_over_a_restart(rank, send):
    async with Receiver() as receiver:
        for received in (1500, 3000):
            log(rank, *(record(None, "r", 1.5, loss=i) for i in range(1500)))
            async with send(receiver.url):
                await until(lambda: len(distinct(receiver)) == received)  # noqa: B023
        # A request whose answer came just before the end is sent once more, as it was.
        assert distinct(receiver) == [(1500 + i, i % 1500) for i in range(3000)]


def distinct(receiver):
    """The samples of its series in the order of their first arrival."""
    return list(
        dict.fromkeys(sample for values in receiver.samples().values() for sample in values)
    )


@asynchronous
async def test_a_spool_that_cannot_be_read_is_replaced_and_everything_sent(tmp_path, rank, send):
    log(rank, record(None, loss=1))
    (tmp_path / "spool").mkdir()
    (tmp_path / "spool" / "remote_write.sqlite").write_bytes(b"something else" * 999)
    async with Receiver() as receiver, send(receiver.url) as sending:
        await sending.wait(1, "samples_total", result="sent")
        assert sending.value("spools_set_aside_total") == 1


@pytest.mark.parametrize("how", ["release", "forget", "end"])
@asynchronous
async def test_what_is_gone_is_forgotten(tmp_path, how):
    def open_outbox():
        return Sending(tmp_path, tmp_path / "spool", "http://localhost/").outbox

    holder, labels = Holder(), (("node_rank", "0"),)
    records = [Record(1.5, {"loss": 1}, 1, "r")]
    first = open_outbox()
    first.take(labels, records, {"file": 7}, holder)
    await first.close()
    first.release(holder)  # too late: a shutdown forgets nothing
    second = open_outbox()
    assert (second.resume("file"), len(second._clocks)) == (7, 2)
    second.take(labels, records, {"file": 8}, holder)
    {
        "release": lambda: second.release(holder),
        "forget": lambda: second.forget("file"),
        "end": lambda: second.end(labels, "r", 2.0, holder),
    }[how]()
    await second.close()
    spool = Spool(tmp_path / "spool", "remote_write")
    assert (len(spool.positions()), len(spool.clocks())) == {
        "release": (0, 0), "forget": (0, 2), "end": (1, 0)
    }[how]  # fmt: skip
    spool.close()


@pytest.mark.exhaustive
@asynchronous
async def test_what_went_while_no_exporter_ran_is_forgotten_later(
    rank, send, tmp_path, monkeypatch
):
    log(rank, record(1, loss=1))
    async with Receiver() as receiver:
        async with send(receiver.url) as sending:
            await sending.wait(2, "samples_total", result="sent")
        (rank / "wandb_metrics.jsonl").unlink()
        monkeypatch.setattr(outbox, "UNCLAIMED_SECONDS", 0.0)
        async with send(receiver.url) as sending:
            await asyncio.sleep(1.5)
    spool = Spool(tmp_path / "spool", "remote_write")
    assert (spool.positions(), spool.clocks()) == ({}, {})
    spool.close()


@pytest.fixture
def secured(tmp_path):
    """A Prometheus with TLS and a password, and the path of its certificate."""
    ca, key = tmp_path / "ca.pem", tmp_path / "key.pem"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    command += ["-nodes", "-days", "2", "-subj", "/CN=x", "-addext", "subjectAltName=DNS:localhost"]
    subprocess.run([*command, "-keyout", key, "-out", ca], check=True, capture_output=True)
    web_config = tmp_path / "web.yml"
    tls = {"cert_file": str(ca), "key_file": str(key)}
    web_config.write_text(
        json.dumps({"tls_server_config": tls, "basic_auth_users": {USER: BCRYPT}})
    )
    with Prometheus(tmp_path / "prometheus", web_config, ca) as prometheus:
        yield prometheus


@asynchronous
async def test_tls_and_a_password_that_is_put_right_while_we_run(
    tmp_path, rank, secured, send, caplog
):
    password = tmp_path / "password"
    basic = f"basic_auth: {{username: {USER}, password_file: password}}"
    (tmp_path / "config.yml").write_text(
        f"{basic}\ntls_config: {{ca_file: ca.pem}}\nexternal_labels: {{cluster: c}}"
    )
    password.write_text("wrong-password")
    log(rank, record(None, "lost", loss=1))
    async with send(secured.write_url, tmp_path / "config.yml") as sending:
        await sending.wait(1, "samples_total", result="refused")
        password.write_text(PASSWORD + "\n")
        log(rank, record(None, "r", loss=1))
        await sending.wait(1, "samples_total", result="sent")
    (labels,) = secured.samples(ALL, 100)
    assert dict(labels)["run_id"] == "r"
    assert dict(labels)["cluster"] == "c"
    said = repr([vars(each) for each in caplog.records])
    assert "wrong-password" not in said
    assert PASSWORD not in said


@asynchronous
async def test_a_certificate_that_nobody_vouches_for_is_not_trusted(rank, secured, send, caplog):
    log(rank, record(None, loss=1))
    async with send(secured.write_url) as sending:
        await until(lambda: sending.value("requests_total", result="retried"))
    assert "CERTIFICATE_VERIFY_FAILED" in repr([vars(each) for each in caplog.records])


@asynchronous
async def test_credentials_in_the_url_are_used_and_never_shown(rank, send, caplog):
    log(rank, record(None, loss=1))
    async with Receiver(500) as receiver:
        url = receiver.url.replace("//", "//me:hid%20den@") + "?token=t0k"
        async with send(url) as sending:
            await sending.wait(1, "samples_total", result="sent")
    assert receiver.headers[0]["Authorization"] == "Basic bWU6aGlkIGRlbg=="
    said = repr([vars(each) for each in caplog.records])
    assert receiver.url in said
    for secret in ("hid", "t0k"):
        assert secret not in said


@asynchronous
async def test_a_bearer_token_and_headers(rank, send, tmp_path):
    (tmp_path / "token").write_text("abc\n")
    (tmp_path / "config.yml").write_text(
        "authorization: {credentials_file: token}\nheaders: {X-Scope-OrgID: me}"
    )
    log(rank, record(None, loss=1))
    async with Receiver() as receiver, send(receiver.url, tmp_path / "config.yml") as sending:
        await sending.wait(1, "samples_total", result="sent")
    assert receiver.headers[0]["Authorization"] == "Bearer abc"
    assert receiver.headers[0]["X-Scope-OrgID"] == "me"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("unknown: 1", "unknown field `unknown`"),
        ("tls_config: {ca: x}", "unknown field `ca`"),
        ("write_relabel_configs: []", "write_relabel_configs is not supported"),
        ("basic_auth: {password: 12}", "$.basic_auth.password"),
        ("basic_auth: {}\nauthorization: {credentials: x}", "exclude each other"),
        ("basic_auth: {password: a, password_file: b}", "exclude each other"),
        ("authorization: {type: Bearer}", "credentials or credentials_file"),
        ("authorization: {credentials_file: missing}", "missing: No such file"),
        ("tls_config: {cert_file: a}", "belong together"),
        ("tls_config: {ca_file: config.yml}", ""),
        ("headers: {Authorization: x}", "is set by the exporter"),
        ('headers: {X: "a\\r\\nb"}', "line breaks"),
        ("remote_timeout: soon", "expected a duration"),
        ("external_labels: {run_id: x}", "run_id is taken"),
        ("external_labels: {a-b: x}", "letters, digits"),
        ("basic_auth: {password: 's3cret", "not YAML: "),
        ("- a", "Expected `object`"),
        ("\0", "not YAML"),
    ],
)
def test_a_bad_configuration_is_one_line_without_secrets(tmp_path, text, said):
    (tmp_path / "config.yml").write_text(text)
    with pytest.raises(CannotSend) as failure:
        Sending(tmp_path, tmp_path / "spool", "https://localhost/", tmp_path / "config.yml")
    message = str(failure.value)
    assert message.startswith("--remote-write.config.file: ")
    assert said in message
    assert "\n" not in message
    assert "s3cret" not in message


@pytest.mark.parametrize("url", ["", "localhost:9090", "ftp://x/", "http://", "http://[", "//x"])
def test_what_is_no_url_is_refused_without_being_shown(url):
    with pytest.raises(ValueError, match="expected a URL such as"):
        config.receiver(url)
