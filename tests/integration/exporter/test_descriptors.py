# SPDX-License-Identifier: Apache-2.0
"""Few file descriptors: what does not fit is left out and counted, and every scrape works."""

import contextlib
import http.client
import os
import resource
import socket
import subprocess

import pytest

from support import sites
from support.serving import Exporter, record, until

LIMITED = 'primus_lens_exporter_limited_total{limit="open_files"}'

SPOOLED = "primus_lens_exporter_{}_spool_entries"


def allowed(count):
    """A wrapper that lets a program have so many descriptors."""
    return ["sh", "-c", f'ulimit -n {count} && exec "$@"', "sh"]


def fill(directory, ranks):
    for number in range(ranks):
        rank = directory / "node_0" / f"rank_{number}"
        rank.mkdir(parents=True)
        (rank / "wandb_metrics.jsonl").write_bytes(record(run=str(number), loss=number))


def test_more_files_than_descriptors(tmp_path):
    fill(tmp_path, 200)
    with Exporter(tmp_path, wrapper=allowed(128)) as exporter, contextlib.ExitStack() as stack:
        until(lambda: exporter.value(LIMITED))
        for _ in range(100):
            stack.enter_context(socket.create_connection(("127.0.0.1", exporter.port)))
        assert exporter.value("process_open_fds") <= 128 - 16
        assert exporter.value("primus_lens_exporter_files") == 32
        assert exporter.series().count('key="loss"') == 32
        assert exporter.status("/-/ready") == 200
    assert exporter.log.count("too few file descriptors") == 1


def test_a_file_costs_one_however_many_consumers_there_are(tmp_path, rank):
    path = rank / "wandb_metrics.jsonl"
    path.write_bytes(record(loss=1))
    sending = "--remote-write.url=http://127.0.0.1:9/", "--otlp.endpoint=http://127.0.0.1:9/"
    spools = [f"--{each}.spool-directory={tmp_path}" for each in ("remote-write", "otlp")]
    with Exporter(rank.parents[1], *sending, *spools) as exporter:
        held = f"/proc/{exporter.process.pid}/fd"
        for protocol in "remote_write", "otlp":
            until(lambda each=protocol: exporter.value(SPOOLED.format(each)))
        assert [os.path.realpath(f"{held}/{fd}") for fd in os.listdir(held)].count(str(path)) == 1


def test_a_scrape_works_without_a_descriptor_and_readiness_says_that_there_is_none(exporter):
    connection = http.client.HTTPConnection("127.0.0.1", exporter.port, timeout=20)
    with contextlib.closing(connection):
        assert sites.ask(connection, "/-/ready").status == 200
        held = len(os.listdir(f"/proc/{exporter.process.pid}/fd"))
        resource.prlimit(exporter.process.pid, resource.RLIMIT_NOFILE, (held, held))
        assert sites.ask(connection, "/metrics").status == 200
        unready = sites.ask(connection, "/-/ready")
        assert (unready.status, unready.body) == (503, b"Out of file descriptors.\n")


def test_a_connection_that_cannot_be_accepted_gets_the_place_of_an_idle_one(exporter):
    with socket.create_connection(("127.0.0.1", exporter.port)):
        until(lambda: exporter.status("/-/healthy") == 200)
        held = len(os.listdir(f"/proc/{exporter.process.pid}/fd"))
        resource.prlimit(exporter.process.pid, resource.RLIMIT_NOFILE, (held, held))
        until(lambda: exporter.status("/metrics") == 200)


@pytest.mark.exhaustive
@pytest.mark.parametrize("daemon", ["exporter", "webhook"])
def test_with_hardly_any_descriptors_it_says_so_and_does_not_start(tmp_path, daemon):
    exporter = Exporter(tmp_path, wrapper=allowed(70))
    command = [each if each != "exporter" else daemon for each in exporter.command]
    if daemon == "webhook":
        command = [*command[:-2], "--certificate.directory", tmp_path, "--inject.image", "x"]
    done = subprocess.run(command, env=exporter.environ, capture_output=True, text=True, timeout=20)
    assert done.returncode == 2
    assert "the limit of open files is 70; raise it to 80 at least" in done.stderr
