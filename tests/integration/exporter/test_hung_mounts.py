# SPDX-License-Identifier: Apache-2.0
"""A real exporter that reads a local directory, and one of a file system that hangs."""

import contextlib
import json
import os
import threading
import time
import urllib.error
from pathlib import Path

import pytest

from support import live
from support.fuse import FaultyMount
from support.reading import Reader, Recorder
from support.receiver import Prometheus
from support.serving import Exporter, record, set_link, until

SENT = 'primus_lens_exporter_remote_write_samples_total{result="sent"}'
PROMPT_SECONDS = 1.0  # on a busy machine; it is 0.1 on an idle one


def records(node):
    return f'primus_lens_wandb_records_total{{node_rank="{node}",local_rank="0",run_id="r"}}'


def write(root, node, *steps):
    directory = root / f"node_{node}" / "rank_0"
    directory.mkdir(parents=True, exist_ok=True)
    with (directory / "wandb_metrics.jsonl").open("ab") as file:
        for step in steps:
            file.write(record(step, timestamp=time.time(), loss=step))


@pytest.fixture
def mount(tmp_path):
    (tmp_path / "fuse").mkdir()
    with FaultyMount(tmp_path / "fuse" / "mount", tmp_path / "fuse" / "source") as mount:
        yield mount


@pytest.fixture
def local(tmp_path):
    (tmp_path / "local").mkdir()
    return tmp_path / "local"


@pytest.fixture
def both(local, mount):
    """Flags for both, which have one record each."""
    write(local, 0, 1)
    write(mount.source, 1, 1)
    return "--records.path", local, "--records.path", mount.path


def stuck_seconds(path):
    return f'primus_lens_exporter_stuck_seconds{{path="{path}"}}'


def hang(exporter, mount, path=None):
    mount.freeze()
    until(lambda: exporter.value(stuck_seconds(path or mount.path)))


def seconds(exporter, path):
    began = time.monotonic()
    assert exporter.status(path) == 200
    return time.monotonic() - began


def test_the_others_go_on_and_nothing_is_lost(both, local, mount):
    with Exporter(None, *both) as exporter:
        exporter.wait(records(1), 1)
        exporter.wait(stuck_seconds(mount.path), 0)
        hang(exporter, mount)
        write(mount.source, 1, 2, 3)
        write(mount.source, 2, 1)
        write(local, 0, 2)
        exporter.wait(records(0), 2)
        for path in "/metrics", "/-/healthy", "/-/ready", "/api/v1/runs":
            assert seconds(exporter, path) < PROMPT_SECONDS
        mount.thaw()
        exporter.wait(records(1), 3)
        exporter.wait(records(2), 1)
        exporter.lines("ok", 6)
        exporter.wait(stuck_seconds(mount.path), 0)
    for message in "file system does not answer", "file system answers again":
        assert exporter.log.count(message) == 1


def test_it_starts_and_stops_while_one_hangs(both, local, mount):
    mount.freeze()
    with Exporter(None, *both) as exporter:
        exporter.wait(records(0), 1)
        assert exporter.value(stuck_seconds(mount.path)) > 0
        began = time.monotonic()
    assert time.monotonic() - began < 5
    mount.thaw()
    with Exporter(None, *both) as exporter:
        exporter.wait(records(1), 1)


def open_below(exporter, path):
    """What the exporter has open there."""
    fds = Path(f"/proc/{exporter.process.pid}/fd").iterdir()
    with contextlib.suppress(FileNotFoundError):  # closed meanwhile: look again
        return [fd for fd in fds if os.readlink(fd).startswith(f"{path}/")]
    return [path]


def test_a_link_to_one_that_hangs_is_not_touched_by_the_others(local, mount, tmp_path):
    write(local, 0, 1)
    write(mount.source, 1, 1)
    set_link(tmp_path / "latest", mount.path)
    mount.freeze()
    flags = "--records.path", tmp_path / "latest", "--records.path", local
    with Exporter(None, *flags) as exporter:
        exporter.wait(records(0), 1)
        assert exporter.value(stuck_seconds(tmp_path / "latest")) > 0
        mount.thaw()
        exporter.wait(records(1), 1)
        until(lambda: not open_below(exporter, mount.path))


def test_a_link_that_is_set_to_one_that_hangs_and_back(local, mount, tmp_path):
    write(local, 0, 1)
    write(mount.source, 1, 1)
    latest = tmp_path / "latest"
    set_link(latest, local)
    with Exporter(None, "--records.path", latest, "--series.grace-seconds=1") as exporter:
        exporter.wait(records(0), 1)
        assert open_below(exporter, local)
        set_link(latest, mount.path)
        exporter.wait(records(1), 1)
        exporter.wait(records(0), None)
        until(lambda: not open_below(exporter, mount.path) and not open_below(exporter, local))
        hang(exporter, mount, latest)
        for path in "/metrics", "/-/ready", "/api/v1/runs":
            assert seconds(exporter, path) < PROMPT_SECONDS
        set_link(latest, local)
        mount.thaw()
        exporter.wait(records(0), 1)
        exporter.wait(records(1), None)


def test_a_directory_that_is_a_level_off_is_named_in_the_log(mount):
    write(mount.source, 1, 1)
    with Exporter(mount.path / "node_1") as exporter:
        pass
    assert f"it is the directory of one node; name {mount.path}" in exporter.log


def test_its_charts_are_refused_and_the_others_are_not(both, mount):
    with Exporter(None, *both) as exporter:
        exporter.wait(records(1), 1)
        local, hung = (rank["id"] for rank in live.runs(exporter)[0]["ranks"])
        mount.freeze()
        with pytest.raises(urllib.error.HTTPError, match="503") as refused:
            live.ask(exporter, "history", id=hung)
        assert "does not answer" in json.load(refused.value)["error"]
        assert live.ask(exporter, "history", id=local)["keys"]["loss"]
        until(lambda: exporter.value(stuck_seconds(mount.path)))
        mount.thaw()
        exporter.wait(stuck_seconds(mount.path), 0)
        assert live.ask(exporter, "history", id=hung)["keys"]["loss"]


def test_a_chart_of_a_run_in_both_places(local, mount):
    write(local, 0, 1)
    write(mount.source, 0, 2)
    with Exporter(None, "--records.path", local, "--records.path", mount.path) as exporter:
        exporter.wait(records(0), 2)
        whole = live.history(exporter)
        again = live.history(exporter, after=whole["cursor"])
    assert [sorted(each["keys"]["loss"]["value"]) for each in (whole, again)] == [[1, 2], [1, 2]]
    assert (whole["reset"], again["reset"]) == (False, True)


def test_both_have_one_quota_of_the_node(both):
    with Exporter(None, *both, "--limits.series-per-node", "4") as exporter:
        exporter.lines("ok", 2)
        assert exporter.value("primus_lens_exporter_series") == 4


def test_remote_write_loses_and_doubles_nothing(both, local, mount, tmp_path):
    with Prometheus(tmp_path / "prometheus") as receiver:
        flags = "--remote-write.url", receiver.write_url, "--remote-write.spool-directory"
        with Exporter(None, *both, *flags, tmp_path / "spool") as exporter:
            exporter.wait(SENT, 4)
            hang(exporter, mount)
            write(mount.source, 1, 2, 3)
            write(local, 0, 2)
            exporter.wait(SENT, 6)
        with Exporter(None, *both, *flags, tmp_path / "spool") as exporter:
            mount.thaw()
            exporter.wait(records(1), 3)
            exporter.wait(SENT, 4)
        samples = receiver.samples("primus_lens_wandb_metric", time.time())
    values = sorted([float(value) for _, value in each] for each in samples.values())
    assert values == [[1, 2], [1, 2, 3]]


def test_a_hang_is_not_the_tenants_fault(mount):
    write(mount.source, 0, 1)
    reader, now = Reader(mount.path, Recorder(), hold=False), time.monotonic()
    mount.freeze()
    thaw = threading.Timer(1.0, mount.thaw)
    thaw.start()
    reader.rank.scan(now)
    thaw.join()
    assert reader.rank.scan_due(now + 6)
    reader.close()


def test_the_page_is_there_while_a_spool_cannot_be_closed(local, mount):
    to = "--remote-write.url", "http://127.0.0.1:9/", "--remote-write.spool-directory", mount.path
    exporter = Exporter(local, *to)
    exporter.start()
    write(local, 0, 1)
    until(lambda: exporter.status("/-/ready") == 200 and exporter.value(records(0)) == 1)
    mount.freeze()
    exporter.process.terminate()
    time.sleep(1)
    assert exporter.status("/-/healthy") == 200
    mount.thaw()
    log = exporter.process.communicate(timeout=20)[1]
    assert (exporter.process.returncode, "Traceback" in log) == (0, False)


def test_no_hint_says_of_records_that_cannot_be_read_that_none_come(mount):
    def hints():
        return [hint["kind"] for run in live.runs(exporter) for hint in run["hints"]]

    directory = mount.source / "node_1" / "rank_0"
    directory.mkdir(parents=True)
    line = record(1, timestamp=time.time() - 900)
    (directory / "wandb_metrics.jsonl").write_bytes(line)
    with Exporter(mount.path) as exporter:
        until(lambda: hints() == ["training_stalled"])
        hang(exporter, mount)
        until(lambda: hints() == [], 30)
        mount.thaw()
        until(lambda: hints() == ["training_stalled"], 30)
