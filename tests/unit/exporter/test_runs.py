# SPDX-License-Identifier: Apache-2.0
"""When the runs of a rank end, by what `wandb_runs.json` says of them."""

import json
import time

import pytest
from primus_lens_exporter.reading.consumer import Consumer

from support.reading import Reader

GRACE = 60


class Ended(Consumer):
    """Which runs ended before all was read, and later."""

    def __init__(self):
        self.before, self.since, self.is_current = [], [], False

    def take(self, labels, records, positions, holder):
        pass

    def caught_up(self, holder):
        self.is_current = True

    def end(self, labels, run_id, finish, holder):
        (self.since if self.is_current else self.before).append(run_id)


@pytest.fixture
def rank(tmp_path):
    directory = tmp_path / "node_0" / "rank_0"
    directory.mkdir(parents=True)
    return directory


@pytest.fixture
def ended():
    return Ended()


@pytest.fixture
def reader(tmp_path, rank, ended):
    reader = Reader(tmp_path, ended, hold=True)
    yield reader
    reader.close()


def log(rank, **runs):
    """A record of each run, so many seconds ago."""
    with (rank / "wandb_metrics.jsonl").open("a") as file:
        for run, ago in runs.items():
            row = {"timestamp": time.time() - ago, "data": {}, "step": 1, "run": run}
            file.write(json.dumps(row) + "\n")


def tell(rank, owner="", **runs):
    """start and finish as seconds ago, None for unknown, and the pid."""
    ago = lambda seconds: None if seconds is None else time.time() - seconds  # noqa: E731
    told = {
        run: {"start": ago(start), "finish": ago(finish), "pid": pid}
        for run, (start, finish, pid) in runs.items()
    }
    (rank / f"wandb_runs{owner}.json").write_text(json.dumps(told))


@pytest.mark.parametrize(
    ("finish", "pid", "is_over"),
    [(GRACE + 1, 1, True), (GRACE - 9, 1, False), (None, 1, False), (None, 2, True)],
)
def test_a_backlog_of_a_run_that_was_over_is_over(rank, reader, ended, finish, pid, is_over):
    """The last one is of a process that was killed: another has its file now."""
    log(rank, r=GRACE + 5, s=0)
    tell(rank, r=(99, finish, pid), s=(1, None, 1))
    reader.look_and_read()
    assert (ended.before, ended.since) == (["r"] if is_over else [], [])


def test_one_that_finishes_while_it_is_followed_stays_for_the_grace(rank, reader, ended):
    log(rank, r=1)
    reader.look_and_read()
    tell(rank, r=(99, 0, 1))
    reader.look()
    for seconds in (GRACE - 1, 2):
        assert ended.since == []
        reader.now += seconds
        reader.rank.rest(reader.now)  # without a look at the directory
    assert ended.since == ["r"]


@pytest.mark.parametrize("hold", [True, False])
def test_of_a_finish_that_is_noticed_late_the_grace_is_over_on_local_disks(
    tmp_path, rank, ended, hold
):
    """As of a directory whose copy is under way; a network volume may tell a minute late."""
    reader = Reader(tmp_path, ended, hold=hold)
    log(rank, r=1)
    reader.look_and_read()
    tell(rank, r=(99, GRACE + 9, 1))
    reader.look()
    assert ended.since == ["r"] * hold
    reader.close()


def test_one_that_is_finished_again_ends_again(rank, reader, ended):
    log(rank, r=1)
    for finish in (0, None, 0):
        tell(rank, r=(99, finish, 1))
        for _ in range(2):
            reader.look_and_read()
    assert ended.before + ended.since == ["r", "r"]


def test_one_that_is_no_longer_listed_has_ended(rank, reader, ended):
    """The hook lists a hundred runs."""
    log(rank, **{f"trial{each}": 1000 - each for each in range(300)}, between=2)
    tell(rank, **{f"trial{each}": (1000 - each, 999 - each, 1) for each in range(200, 299)})
    told = json.loads((rank / "wandb_runs.json").read_text())
    told["trial299"] = {"start": time.time() - 3, "pid": 1}
    (rank / "wandb_runs.json").write_text(json.dumps(told))
    for _ in range(2):
        reader.look_and_read()
    assert sorted(ended.before + ended.since) == sorted(f"trial{each}" for each in range(299))


def test_one_that_another_process_goes_on_with_is_not_over(rank, reader, ended):
    log(rank, r=GRACE + 5)
    tell(rank, r=(99, GRACE + 5, 1))
    tell(rank, owner=".p7", r=(50, None, 7))
    for _ in range(3):
        reader.look_and_read()
    assert ended.before + ended.since == []


def test_without_a_file_of_runs_none_ends(rank, reader, ended):
    log(rank, r=9999, s=1)
    for _ in range(3):
        reader.look_and_read()
    assert ended.before + ended.since == []


def test_records_that_come_after_the_list_of_their_runs_bring_none_back(rank, reader, ended):
    """As in a copy that is under way."""
    reader.look_and_read()
    tell(rank, r=(99, GRACE + 9, 1))
    reader.look_and_read()
    log(rank, r=GRACE + 20)
    reader.look_and_read()
    reader.rank.rest(reader.now)
    assert ended.since == ["r", "r"]


def test_one_that_went_on_and_finished_between_two_looks_ends_again(rank, reader, ended):
    for finish in (GRACE + 9, GRACE + 5):
        log(rank, r=finish)
        tell(rank, r=(99, finish, 1))
        reader.look_and_read()
    assert ended.before + ended.since == ["r", "r"]
