# SPDX-License-Identifier: Apache-2.0
import itertools
import os
import time

import pytest
from primus_lens_exporter.reading.counts import Counts
from primus_lens_exporter.reading.follow import Follower
from primus_lens_exporter.reading.settings import ReadingSettings
from primus_lens_exporter.reading.sources import DirectorySource
from primus_lens_exporter.reading.watcher import Watcher

from support.reading import Recorder, tenants_of
from support.serving import record


@pytest.mark.parametrize("hold", [True, False], ids=["local", "network"])
def test_ready_as_soon_as_all_is_read(tmp_path, hold):
    rank = tmp_path / "node_0" / "rank_0"
    rank.mkdir(parents=True)
    (rank / "wandb_metrics.jsonl").write_bytes(record())
    options, counts, watcher = ReadingSettings(), Counts(), Watcher()
    source = DirectorySource(str(tmp_path), tenants_of(counts), options, watcher, hold=lambda: hold)
    follower = Follower([source], [Recorder()], options, counts, watcher)
    list(follower.tick(time.monotonic()))
    follower.close()
    assert follower.ready


def numbered(number):
    return record(step=number)[:-2] + b',"seq":%d}\n' % number


@pytest.mark.parametrize("hold", [True, False], ids=["local", "network"])
def test_a_directory_that_was_moved_away_is_read_on_when_it_is_back(tmp_path, hold):
    rank, aside = tmp_path / "node_0" / "rank_0", tmp_path / "node_0" / "aside"
    rank.mkdir(parents=True)
    (rank / "wandb_metrics.jsonl").write_bytes(numbered(1))
    os.utime(rank, (1, 1))  # so long ago that the time is trusted; a move leaves it as it is
    options, counts, watcher, got = ReadingSettings(), Counts(), Watcher(), Recorder()
    source = DirectorySource(str(tmp_path), tenants_of(counts), options, watcher, hold=lambda: hold)
    follower, now = Follower([source], [got], options, counts, watcher), itertools.count(100, 40)
    list(follower.tick(time.monotonic() + next(now)))
    for before, after in ((rank, aside), (aside, rank)):
        before.rename(after)
        list(follower.tick(time.monotonic() + next(now)))
    with (rank / "wandb_metrics.jsonl").open("ab") as file:
        file.write(numbered(2))
    for _ in range(2):
        list(follower.tick(time.monotonic() + next(now)))
    (ranks,) = follower._volumes.values()
    assert ranks["node_0/rank_0"].schedule.listing.watched == hold
    follower.close()
    assert got.numbers == [1, 2]
