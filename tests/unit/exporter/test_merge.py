# SPDX-License-Identifier: Apache-2.0
"""Several processes of one rank, whose lines come by time."""

import json
import os
import random

import pytest

from support.reading import Reader, Recorder


@pytest.fixture
def directory(tmp_path):
    directory = tmp_path / "node_0" / "rank_0"
    directory.mkdir(parents=True)
    return directory


def lines(steps, size=0):
    rows = ({"timestamp": step, "data": {"x": "." * size}, "step": step} for step in steps)
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
