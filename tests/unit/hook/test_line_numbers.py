# SPDX-License-Identifier: Apache-2.0
import json
import os
import subprocess
import sys

import pytest
from primus_lens_hook.recording.writer import Writer

MAX = 64 * 1024
FILE, RUNS = "wandb_metrics.jsonl", "wandb_runs.json"
LINE = b'{"timestamp":1.5,"step":1,"data":{},"run":"%s"'


def line(run, size=0):
    return LINE % run.encode() + b" " * size, run


def numbers(directory, run="r"):
    """Of all segments, in order."""
    records = [
        json.loads(text) for path in directory.iterdir() for text in path.read_text().splitlines()
    ]
    return sorted(record["seq"] for record in records if record["run"] == run)


def test_each_run_has_numbers_of_its_own_over_rotations(tmp_path):
    writer = Writer([str(tmp_path)], 10**6)
    for run in ("a", "b", "a") * 500:
        writer.write(*line(run, 200))
    assert numbers(tmp_path, "a") == [*range(1, 1001)]
    assert numbers(tmp_path, "b") == [*range(1, 501)]
    assert len([*tmp_path.iterdir()]) > 1


def test_a_batch_is_numbered_in_its_order(tmp_path):
    Writer([str(tmp_path)], MAX).write(*line("r"), [line("s"), (b"{}\n", None), line("r")])
    texts = (tmp_path / FILE).read_text().splitlines()
    assert [json.loads(text).get("seq") for text in texts] == [1, 1, None, 2]


@pytest.mark.parametrize("run", ["r", 'a"b\\', "ü", ""])
def test_the_next_process_goes_on_after_a_kill(tmp_path, run):
    text = json.dumps(run).encode()
    program = (
        "import os; from primus_lens_hook.recording.writer import Writer\n"
        f"w = Writer([{str(tmp_path)!r}], {MAX})\n"
        f"for _ in range(3): w.write(b'{{\"run\":' + {text!r}, {run!r})\n"
        "os.kill(os.getpid(), 9)"
    )
    for _ in range(2):
        subprocess.run([sys.executable, "-c", program])
    records = [json.loads(each) for each in (tmp_path / FILE).read_text().splitlines()]
    assert [record["seq"] for record in records] == [1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize("known", ["", "[]", '{"r": 5}', '{"r": {"records": "7"}}', "{", "\udc80"])
def test_a_file_of_runs_that_makes_no_sense_is_none(tmp_path, known):
    (tmp_path / RUNS).write_text(known, errors="surrogateescape")
    Writer([str(tmp_path)], MAX).write(*line("r"))
    (tmp_path / RUNS).unlink()
    assert numbers(tmp_path) == [1]


def test_what_the_file_of_runs_says_counts_where_the_lines_are_gone(tmp_path):
    (tmp_path / RUNS).write_text('{"r": {"records": 70}}')
    Writer([str(tmp_path)], MAX).write(*line("r"))
    (tmp_path / RUNS).unlink()
    assert numbers(tmp_path) == [71]


def test_lines_that_are_lost_have_no_number(tmp_path, monkeypatch):
    writer = Writer([str(tmp_path)], MAX)
    writer.write(*line("r"))
    with monkeypatch.context() as patched:
        patched.setattr("os.write", lambda fd, text: os.fstat(-1))  # an OSError
        assert not writer.write(*line("r"), [line("r"), line("s")])
    writer._retry_at = 0
    writer.write(*line("r"))
    assert (numbers(tmp_path), writer.lost) == ([1, 2], 3)


def test_a_second_process_counts_for_itself(tmp_path):
    first, second = Writer([str(tmp_path)], MAX), Writer([str(tmp_path)], MAX)
    for writer in (first, first, second):
        writer.write(*line("r"))
    assert numbers(tmp_path) == [1, 1, 2]
