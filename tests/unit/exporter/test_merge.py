# SPDX-License-Identifier: Apache-2.0
"""Several processes of one rank, whose lines come by time."""

import json
import os
import random
import time

import pytest

from support.reading import Reader, Recorder


@pytest.fixture
def directory(tmp_path):
    directory = tmp_path / "node_0" / "rank_0"
    directory.mkdir(parents=True)
    return directory


def lines(steps, size=0, numbered=False):
    rows = (
        {"timestamp": step, "data": {"x": "." * size}, "step": step}
        | ({"seq": step} if numbered else {})
        for step in steps
    )
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


def read(root, turns=1, ranks=1):
    reader = Reader(root, recorder := Recorder(), hold=True)
    reader.look()
    for _ in range(turns):
        reader.read(ranks)
    reader.close()
    return recorder


@pytest.mark.parametrize("size", [0, 3000])
def test_a_backlog_of_three_processes(tmp_path, directory, size):
    owners, of = {"": [], ".p7": [], ".p8": []}, random.Random(1)
    for step in range(200):
        owners[of.choice([*owners])].append(step)
    for owner, steps in owners.items():
        (directory / f"wandb_metrics{owner}.jsonl").write_bytes(lines(steps, size))
    assert read(tmp_path).numbers == [*range(200)]


def test_each_turn_goes_on_where_the_one_before_ended(tmp_path, directory):
    for owner in range(2):
        steps = range(owner, 1200, 2)
        (directory / f"wandb_metrics.p{owner}.jsonl").write_bytes(lines(steps, 1000))
    recorder = read(tmp_path, turns=40, ranks=1_000_000)
    assert recorder.numbers == [*range(1200)]
    assert len(recorder.calls) > 2


def test_segments_come_by_their_numbers_whatever_a_copy_did_to_their_times(tmp_path, directory):
    for number, name in enumerate((".1", ".2", ".10", "")):
        (directory / f"wandb_metrics{name}.jsonl").write_bytes(lines([number]))
    for age, path in enumerate(sorted(directory.iterdir())):
        os.utime(path, (age, age))
    assert read(tmp_path).numbers == [0, 1, 2, 3]


@pytest.mark.parametrize("restarted", [False, True])
def test_a_mirror_in_the_place_of_a_file_is_read_on(tmp_path, directory, restarted):
    path, recorder = directory / "wandb_metrics.jsonl", Recorder()
    path.write_bytes(lines(range(100)))
    reader = Reader(tmp_path, recorder, hold=True)
    reader.look_and_read()
    if restarted:
        reader.close()
        reader = Reader(tmp_path, recorder := Recorder(recorder.calls), hold=True)
        reader.look_and_read()
    for size in (140, 140, 200):
        (directory / "new").write_bytes(lines(range(size)))
        (directory / "new").replace(path)
        reader.look_and_read()
    reader.close()
    assert recorder.numbers == [*range(200)]


def test_bad_lines_in_between_cost_only_themselves(tmp_path, directory):
    (directory / "wandb_metrics.jsonl").write_bytes(b"{\n" + lines([1]) + b"\n[]\n" + lines([3]))
    (directory / "wandb_metrics.p1.jsonl").write_bytes(lines([2]) + b"{nonsense")
    assert read(tmp_path).numbers == [1, 2, 3]


@pytest.mark.parametrize("other", [[], [2.5, 9.5]])
def test_a_copy_may_bring_the_files_in_any_order(tmp_path, directory, other):
    """Later lines of another process wait too."""
    reader = Reader(tmp_path, first := Recorder(), second := Recorder(), hold=True)
    copied = [("", [7, 8]), (".p7", other), (".3", [5, 6]), (".1", [1, 2]), (".2", [3, 4])]
    for name, steps in copied:
        numbered = name != ".p7"
        (directory / f"wandb_metrics{name}.jsonl").write_bytes(lines(steps, numbered=numbered))
        reader.now = time.monotonic()
        reader.rank.scan(reader.now)
        for _ in range(4):
            reader.read()
    reader.close()
    assert first.numbers == second.numbers == sorted([*range(1, 9), *other])


def test_lines_that_do_not_come_are_waited_for_a_second(tmp_path, directory):
    reader = Reader(tmp_path, recorder := Recorder(), hold=True)
    (directory / "wandb_metrics.2.jsonl").write_bytes(lines([3, 4], numbered=True))
    for seconds in 0, 0.9, 1.1:
        reader.now = time.monotonic() if seconds == 0 else reader.now
        reader.rank.scan(reader.now)
        reader.now += seconds
        reader.read()
        assert bool(recorder.numbers) == (seconds > 1)
    reader.close()
