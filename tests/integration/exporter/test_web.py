# SPDX-License-Identifier: Apache-2.0
import gzip
import os
import shutil
import socket
import subprocess
import urllib.request

import pytest

from support import serving, sites
from support.serving import record, until


@pytest.fixture
def filled(exporter, rank):
    (rank / "wandb_metrics.jsonl").write_bytes(record(loss=0.5, lr=0.25, nan="NaN"))
    until(lambda: 'key="loss"' in exporter.page())
    return exporter


def test_the_series_page_is_golden(filled):
    own = [line for line in filled.page().splitlines() if "primus_lens_wandb_" in line]
    identity = 'node_rank="0",local_rank="1",run_id="r"'
    assert own == [
        "# HELP primus_lens_wandb_metric Newest value logged under each key.",
        "# TYPE primus_lens_wandb_metric gauge",
        f'primus_lens_wandb_metric{{{identity},key="loss"}} 0.5',
        f'primus_lens_wandb_metric{{{identity},key="lr"}} 0.25',
        f'primus_lens_wandb_metric{{{identity},key="nan"}} NaN',
        "# HELP primus_lens_wandb_step Newest step of the run.",
        "# TYPE primus_lens_wandb_step gauge",
        f"primus_lens_wandb_step{{{identity}}} 1.0",
        (
            "# HELP primus_lens_wandb_last_record_timestamp_seconds "
            "Time of the newest log call, in seconds since the epoch."
        ),
        "# TYPE primus_lens_wandb_last_record_timestamp_seconds gauge",
        f"primus_lens_wandb_last_record_timestamp_seconds{{{identity}}} 1.5",
        "# HELP primus_lens_wandb_records_total Log calls of the run on this rank.",
        "# TYPE primus_lens_wandb_records_total counter",
        f"primus_lens_wandb_records_total{{{identity}}} 1.0",
    ]


def test_promtool_has_nothing_to_say(filled):
    promtool = shutil.which("promtool") or pytest.skip("promtool is not installed")
    done = subprocess.run(
        [promtool, "check", "metrics"], input=filled.page(), capture_output=True, text=True
    )
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_gzip_is_the_same_page(filled):
    for _ in range(2):  # the second time from the kept half
        with filled.get("/metrics", **{"Accept-Encoding": "gzip"}) as response:
            assert response.headers["Content-Encoding"] == "gzip"
            page = gzip.decompress(response.read()).decode()
        training = [line for line in page.splitlines() if "_wandb_" in line]
        assert training == [line for line in filled.page().splitlines() if "_wandb_" in line]
        assert page.endswith("\n")
        assert "primus_lens_exporter_build_info" in page


@pytest.mark.parametrize(("takes", "coding"), [("gzip", "gzip"), ("gzip;q=0", None), ("*", "gzip")])
def test_a_page_has_the_coding_that_the_client_takes(filled, takes, coding):
    with filled.get("/metrics", **{"Accept-Encoding": takes}) as response:
        assert response.headers["Content-Encoding"] == coding


@pytest.mark.parametrize("path", ["/metrics", "/api/v1/runs"])
@pytest.mark.parametrize("takes", ["gzip", "identity"])
def test_caches_are_told_that_the_coding_was_chosen(filled, path, takes):
    with filled.get(path, **{"Accept-Encoding": takes}) as response:
        assert response.headers["Vary"] == "Accept-Encoding"


def test_content_type(filled):
    with filled.get("/metrics") as response:
        assert response.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"


@pytest.mark.parametrize("path", ["/", "/-/healthy", "/-/ready", "/healthz", "/readyz"])
def test_other_pages(exporter, path):
    assert exporter.status(path) == 200
    assert exporter.status(path + "nothing") == 404


def test_a_client_that_goes_in_the_middle_of_a_page(tmp_path, rank):
    rows = (record(**{f"key{step}/{n}": n for n in range(100)}) for step in range(100))
    (rank / "wandb_metrics.jsonl").write_bytes(b"".join(rows))
    with serving.Exporter(tmp_path / "records", "--limits.keys-per-rank=20000") as exporter:
        until(lambda: "key99/99" in exporter.page())
        for size in (1, 100_000):
            with exporter.get("/metrics") as response:
                response.read(size)
        assert exporter.status("/metrics") == 200


def test_clients_that_go_before_they_read_are_counted_and_not_logged(tmp_path, rank):
    rows = (record(**{f"key{step}/{n}": n for n in range(100)}) for step in range(100))
    (rank / "wandb_metrics.jsonl").write_bytes(b"".join(rows))
    authority = sites.Authority(tmp_path)
    flags = "--limits.keys-per-rank=20000", f"--web.config.file={authority.config()}"
    exporter = serving.Exporter(tmp_path / "records", *flags, tls=authority.trusting())
    with exporter:
        until(lambda: "key99/99" in exporter.page())
        for _ in range(10):
            leave(exporter)
        left = 'primus_lens_exporter_http_rejected_total{reason="client_left"}'
        until(lambda: exporter.value(left) > 0)
    assert "logger=asyncio" not in exporter.log


def leave(exporter):
    """Ask for the page over TLS, and reset the connection at its first byte."""
    plain = socket.create_connection(("localhost", exporter.port))
    with exporter.tls.wrap_socket(plain, server_hostname="localhost") as client:
        client.sendall(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n")
        client.recv(1)  # the page has begun, and is far larger than what the kernel keeps
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1" + bytes(7))


def test_head_has_no_body(filled):
    request = urllib.request.Request(filled.url + "/metrics", method="HEAD")
    with urllib.request.urlopen(request) as response:
        assert (response.read(), int(response.headers["Content-Length"]) > 1000) == (b"", True)


def test_the_process_is_described(filled):
    open_now = len(os.listdir(f"/proc/{filled.process.pid}/fd"))
    assert abs(filled.value("process_open_fds") - open_now) <= 3  # a connection or two
    assert filled.value("process_resident_memory_bytes") == pytest.approx(filled.rss, rel=0.05)
    assert filled.value("process_max_fds") >= 1024
    assert 0 < filled.value("process_cpu_seconds_total") < 60
