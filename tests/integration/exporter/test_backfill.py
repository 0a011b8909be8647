# SPDX-License-Identifier: Apache-2.0
"""`primus-lens backfill` as a user runs it, with a real promtool and a real Prometheus."""

import asyncio
import json
import os
import pty
import random
import re
import resource
import shutil
import signal
import subprocess
import sys
import time

import pytest
from primus_lens_exporter.model.system_metrics import MEASURES
from primus_lens_hook import contract
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from support.environment import clean_environ
from support.receiver import Prometheus
from support.sending import Sending
from support.serving import late, record

ALL = '{__name__=~"primus_lens_.+"}'
NOW = float(int(time.time()) - 3600)
WITH_PEAK = """
import re, sys
from primus_lens_cli.main import main
main(sys.argv[1:])
print(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1])
"""


def run(*arguments, limit=None):
    return subprocess.run(
        [sys.executable, "-m", "primus_lens_cli", "backfill", *map(str, arguments)],
        env=clean_environ(),
        capture_output=True,
        text=True,
        preexec_fn=limit,
    )


def metrics(text):
    """{(family, labels): [(seconds, value), …]} as a strict reader of OpenMetrics sees it."""
    found = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            labels = tuple(sorted(sample.labels.items()))
            points = found.setdefault((sample.name.removeprefix("primus_lens_wandb_"), labels), [])
            points.append((float(sample.timestamp), sample.value))
    return found


def values(text, key="loss"):
    """The values of one key, in the order of the text."""
    found = metrics(text)
    return [
        value
        for (_, labels), points in found.items()
        if ("key", key) in labels
        for _, value in points
    ]


def blocks(directory, file):
    """Have promtool make blocks for a Prometheus that is not running."""
    if shutil.which("promtool") is None:
        pytest.skip("promtool is not installed")
    command = ["promtool", "tsdb", "create-blocks-from", "openmetrics", file, directory / "data"]
    subprocess.run(command, check=True, capture_output=True)


@pytest.fixture
def records(tmp_path, rank):
    return tmp_path / "records"


@pytest.fixture
def trained(records):
    """Two nodes of two ranks, with bursts, disorder and odd keys; the number of samples and series.

    A counter of values that are not finite begins with a 0.
    """
    rng, bad = random.Random(0), 0
    keys = ["loss", 'quo"te', "back\\slash", "new\nline", "ünï", "nul\0", "\ufeff", "cr\r", "#"]
    for number in range(4):
        directory = records / f"node_{number // 2}" / f"rank_{number % 2}"
        directory.mkdir(parents=True, exist_ok=True)
        times = [NOW + step // 3 + rng.random() for step in range(900)] + [NOW + 400] * 100
        row = {key: rng.choice([rng.random(), "NaN", "-Infinity", 3]) for key in keys}
        lines = [record(i, "r", at, **row) for i, at in enumerate(times)]
        (directory / "wandb_metrics.jsonl").write_bytes(b"".join(lines))
        bad += sum(isinstance(value, str) for value in row.values())
    return 4 * 1000 * (len(keys) + 1) + bad * (1 + 1000), 4 * (len(keys) + 1) + bad


def test_every_sample_is_in_prometheus_at_its_time(tmp_path, records, trained):
    samples, count = trained
    done = run(records, "-o", tmp_path / "out.om", "--label", "cluster=c")
    assert done.returncode == 0, done.stderr
    assert f"samples  {samples} of {count} series\n" in done.stderr
    (tmp_path / "prometheus").mkdir()
    blocks(tmp_path / "prometheus", tmp_path / "out.om")
    with Prometheus(tmp_path / "prometheus") as prometheus:
        counts = prometheus.count(ALL, NOW + 4000)
        assert set(counts.values()) == {1000, 1001}
        assert sum(counts.values()) == samples
        ((labels, points),) = prometheus.samples(
            'primus_lens_wandb_step{node_rank="1",local_rank="0"}', NOW + 4000
        ).items()
    assert dict(labels)["cluster"] == "c"
    assert [value for _, value in points] != sorted(float(value) for _, value in points)
    assert points[-100:][0][0] == round(NOW * 1000) + 400_000


def test_backfill_and_remote_write_give_the_same_samples(tmp_path, records, trained):
    async def send(url):
        async with Sending(records, tmp_path / "spool", url) as sending:
            await sending.wait(trained[0], "samples_total", result="sent")

    with Prometheus(tmp_path / "one") as prometheus:
        asyncio.run(send(prometheus.write_url))
        sent = prometheus.samples(ALL, NOW + 4000)
    assert run(records, "-o", tmp_path / "out.om").returncode == 0
    (tmp_path / "two").mkdir()
    blocks(tmp_path / "two", tmp_path / "out.om")
    with Prometheus(tmp_path / "two") as prometheus:
        assert prometheus.samples(ALL, NOW + 4000) == sent
    assert sum(map(len, sent.values())) == trained[0]


def test_a_late_row_is_in_the_text_without_its_step(rank, records):
    lines = record(7, "r", NOW, loss=1), late(900, "r", NOW + 1, a=2), record(3, "r", NOW + 2)
    (rank / "wandb_metrics.jsonl").write_bytes(b"".join(lines))
    done = run(records)
    assert "samples  4 of 3 series\n" in done.stderr
    assert "dropped" not in done.stderr
    found = {name: points for (name, _), points in metrics(done.stdout).items() if name == "step"}
    assert found == {"step": [(NOW, 7), (NOW + 2, 3)]}
    assert values(done.stdout, "a") == [2]


@pytest.fixture
def sampled(records):
    """Two nodes, one with two ranks, that sample all that there is; the second rank for longer."""
    names = (*contract.SAMPLE_OF_POD, *contract.SAMPLE_OF_PROCESS)
    data = {contract.SAMPLE_PREFIX + name: 1 for name in names}
    data |= {f"{contract.SAMPLE_PREFIX}gpu_7_{name}": 1.5 for name in contract.SAMPLE_OF_GPU}
    data |= {f"{contract.SAMPLE_PREFIX}gpu_7_{text}": 'te"xt' for text in ("uuid", "name")}
    for number, count in enumerate((100, 120, 100)):
        directory = records / f"node_{number // 2}" / f"rank_{number % 2}"
        directory.mkdir(parents=True, exist_ok=True)
        with (directory / "wandb_metrics.jsonl").open("wb") as file:
            for at in (NOW + 5 * index + number / 10 for index in range(count)):
                sample = {"timestamp": at, "step": None, "data": data, "run": "r", "sample": True}
                file.write(record(1, "r", at, loss=1) + json.dumps(sample).encode() + b"\n")


def test_samples_of_the_system_are_in_prometheus_once_a_node(tmp_path, records, sampled):
    done = run(records, "-o", tmp_path / "out.om")
    assert "dropped" not in done.stderr
    text = (tmp_path / "out.om").read_text()
    assert "# TYPE primus_lens_gpu_ecc_errors counter\n" in text
    metrics(text)  # a strict reader
    (tmp_path / "prometheus").mkdir()
    blocks(tmp_path / "prometheus", tmp_path / "out.om")
    with Prometheus(tmp_path / "prometheus") as prometheus:
        counts = prometheus.count('{__name__=~"primus_lens_(system|gpu)_.+"}', NOW + 4000)
    alone, shared = 100, 100 + 18  # of the longer rank what is newer by fifteen seconds
    of_node, of_rank = len(MEASURES) - 7, 7
    assert sorted(counts.values()) == sorted(
        of_node * [shared, alone] + of_rank * [100, 120, alone]
    )


@pytest.mark.exhaustive
@pytest.mark.parametrize("milliseconds", [0, 1, 999, 1700000000129, 1700000000001, 1754321098765])
def test_prometheus_which_cuts_off_reads_the_very_millisecond(rank, records, milliseconds):
    (rank / "wandb_metrics.jsonl").write_bytes(record(None, "r", milliseconds / 1000, loss=1))
    ((_, ((seconds, _),)),) = metrics(run(records).stdout).items()
    assert int(seconds * 1000) == milliseconds


@pytest.mark.exhaustive
def test_a_strict_reader_takes_what_more_than_fills_the_buffer(rank, records):
    lines = (record(i, "r", NOW + i / 100, a=i, b=-i) for i in range(30_000))
    (rank / "wandb_metrics.jsonl").write_bytes(b"".join(lines))
    found = metrics(run(records).stdout)
    assert [name for name, _ in found] == ["metric", "metric", "step"]
    for points in found.values():
        assert [abs(value) for _, value in points] == list(range(30_000))


def test_the_files_of_a_rank_are_merged_by_time(rank, records):
    names = ["wandb_metrics.1.jsonl", "wandb_metrics.2.jsonl", "wandb_metrics.jsonl"]
    for part, name in enumerate(names):
        lines = (record(None, "r", NOW + part * 100 + 2 * i, loss=i) for i in range(50))
        (rank / name).write_bytes(b"".join(lines))
    lines = (record(None, "r", NOW + 2 * i + 1, loss=1000) for i in range(150))
    (rank / "wandb_metrics.p77.jsonl").write_bytes(b"".join(lines))
    os.link(rank / "wandb_metrics.jsonl", rank / "wandb_metrics.9.jsonl")
    done = run(records, records)
    assert "samples  300 of 1 series\n" in done.stderr
    assert values(done.stdout) == [value for i in range(150) for value in (i % 50, 1000)]


def test_only_files_that_overlap_are_open_together(rank, records):
    for part in range(300):
        line = record(None, "r", NOW + part, loss=part)
        (rank / f"wandb_metrics.p{part}.jsonl").write_bytes(line)

    def few_files():
        resource.setrlimit(resource.RLIMIT_NOFILE, (32, 32))

    assert values(run(records, limit=few_files).stdout) == list(range(300))


def test_bad_lines_are_counted_and_cost_nothing_else(rank, records):
    (rank / "wandb_metrics.jsonl").write_bytes(
        record(loss=1) + b'{"timestamp":1,"da' + record(loss=2, timestamp=3) + b"\xff\n[]\n"
        b'{"timestamp":1e11,"data":{"loss":3}}\n' + b"x" * (2 << 20) + b"\n"
        b'{"timestamp":NaN,"data":{"loss":3}}\n' + record(loss=4, timestamp=9)[:-1]
    )
    done = run(records)
    assert done.returncode == 0
    assert values(done.stdout) == [1, 2, 4]
    counts = {"4 ok", "1 torn", "2 invalid_json", "1 wrong_type", "1 too_long"}
    assert set(done.stderr.splitlines()[1].removeprefix("lines    ").split(", ")) == counts
    assert "; dropped: 1 future" in done.stderr


def test_what_cannot_be_read_is_named_and_the_rest_is_written(rank, records):
    (rank / "wandb_metrics.jsonl").write_bytes(record(loss=1))
    (rank / "wandb_metrics.1.jsonl").symlink_to("/etc/passwd")
    os.mkfifo(rank / "wandb_metrics.2.jsonl")
    done = run(records)
    assert done.returncode == 1
    assert "wandb_metrics.1.jsonl' left out: Too many levels" in done.stderr
    assert "wandb_metrics.2.jsonl' left out: not a regular file" in done.stderr
    assert values(done.stdout) == [1]


@pytest.mark.exhaustive
def test_memory_does_not_grow_with_the_files(tmp_path, rank, records):
    def peak(lines):
        text = b"".join(record(i, "r", NOW + i / 1000, a=i, b=i, c=i) for i in range(1000))
        with (rank / "wandb_metrics.jsonl").open("wb") as file:
            for _ in range(lines // 1000):
                file.write(text)
        command = [sys.executable, "-c", WITH_PEAK, "backfill", records, "-o", tmp_path / "out.om"]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        return int(done.stdout) << 10

    small, big = peak(50_000), peak(500_000)
    assert big < small + (10 << 20), f"{small >> 20} MB, at ten times the size {big >> 20} MB"


@pytest.mark.exhaustive
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["missing"], "missing: No such file or directory"),
        (["."], "no node_*/rank_*/wandb_metrics.jsonl in .; name the output path"),
        (["records", "--label", "a-b=c"], "letters, digits and _"),
        (["records", "--label", "run_id=c"], "run_id is taken"),
        (["records", "--label", "__name__=c"], "__name__ is taken"),
        (["records", "--label", "a="], "is empty"),
        (["records", "-o", "missing/out.om"], "missing/out.om: No such file or directory"),
        ([], "the following arguments are required: DIR"),
    ],
)
def test_an_error_is_one_line_and_status_2(tmp_path, rank, monkeypatch, arguments, said):
    monkeypatch.chdir(tmp_path)
    (rank / "wandb_metrics.jsonl").write_bytes(record(loss=1))
    done = run(*arguments)
    assert done.returncode == 2
    assert said in done.stderr
    assert done.stderr.count("\n") == 1


def test_an_output_that_is_no_file_is_written_to_and_not_replaced(tmp_path, rank, records):
    (rank / "wandb_metrics.jsonl").write_bytes(record(loss=1))
    os.mkfifo(tmp_path / "pipe")
    with subprocess.Popen(["cat", tmp_path / "pipe"], stdout=subprocess.PIPE) as reader:
        assert run(records, "-o", tmp_path / "pipe").returncode == 0
        assert reader.stdout.read().endswith(b"# EOF\n")
    assert (tmp_path / "pipe").is_fifo()


def test_an_output_has_its_name_only_when_it_is_whole(tmp_path, rank, records):
    (rank / "wandb_metrics.jsonl").write_bytes(record(loss=1) * 10_000)
    (tmp_path / "out.om").write_text("older")

    def small_files():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))

    done = run(records, "-o", tmp_path / "out.om", limit=small_files)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "out.om: File too large" in done.stderr
    assert (tmp_path / "out.om").read_text() == "older"
    assert not (tmp_path / "out.om.partial").exists()


def test_who_sits_at_a_terminal_sees_how_far_it_is(tmp_path, rank, records):
    (rank / "wandb_metrics.jsonl").write_bytes(record(loss=1) * 10)
    ours, terminal = pty.openpty()
    command = [sys.executable, "-m", "primus_lens_cli", "backfill", records, "-o", tmp_path / "x"]
    environ = {**clean_environ(), "TERM": "xterm", "COLUMNS": "100"}
    subprocess.run(command, env=environ, stderr=terminal, check=True)
    os.close(terminal)
    seen = os.read(ours, 1 << 16).decode()
    os.close(ours)
    size = len(record(loss=1)) * 10
    assert re.search(rf"reading .*━.*m{size}/{size} bytes", seen)
    assert "reading" not in run(records).stderr


def test_help_teaches_by_an_example():
    text = run("--help").stdout
    assert "promtool tsdb create-blocks-from openmetrics metrics.om" in text


def test_a_reader_that_goes_away_is_no_traceback(rank, records):
    (rank / "wandb_metrics.jsonl").write_bytes(record(loss=1) * 100_000)
    command = f"{sys.executable} -m primus_lens_cli backfill {records} | head -1"
    done = subprocess.run(command, shell=True, capture_output=True, text=True)
    assert done.stdout.startswith("# HELP primus_lens_wandb_metric ")
    assert done.stderr == ""


def test_what_is_called_like_a_node_or_rank_and_is_a_link_or_a_file_is_told(rank, records):
    (rank / "wandb_metrics.jsonl").write_bytes(record(loss=1))
    (records / "node_1").symlink_to(records / "node_0")
    (rank.parent / "rank_7").write_text("")
    done = run(records)
    assert done.returncode == 1
    assert f"{str(records / 'node_1')!r} left out: a symbolic link" in done.stderr
    assert f"{str(rank.parent / 'rank_7')!r} left out: not a directory" in done.stderr
    assert done.stdout.count("primus_lens_wandb_metric{") == 1
