# SPDX-License-Identifier: Apache-2.0
import os
import re
import time
from pathlib import Path

import pytest
from primus_lens_exporter.reading.listing import Listing
from primus_lens_exporter.reading.safe_open import SafeDirectory
from primus_lens_exporter.reading.watcher import CHANGED, WRITTEN, Watched, Watcher

from support.reading import Reader, Recorder

OURS = re.compile("[a-z0-9]+")


class Owner(Watched):
    def __init__(self):
        self.heard = []
        self.is_lost = False

    def touched(self, mask):
        self.heard.append("changed" if mask & CHANGED else "written" if mask & WRITTEN else "")

    def lost(self, watch):
        self.is_lost = True


@pytest.fixture
def watcher():
    watcher = Watcher()
    yield watcher
    watcher.close()


@pytest.fixture
def owner():
    return Owner()


@pytest.fixture
def listing(tmp_path, watcher, owner):
    root = SafeDirectory(str(tmp_path), hold=True)
    yield Listing(root, ".", OURS, watcher, owner)
    root.close()


def names(listing, limit=1000):
    entries = listing.changed(limit)
    return None if entries is None else sorted(entry.name for entry in entries)


def test_listed_again_only_when_something_has_changed(tmp_path, listing):
    long_ago = time.time() - 60
    os.utime(tmp_path, (long_ago, long_ago))
    assert names(listing) == []
    assert names(listing) is None
    (tmp_path / "a").touch()
    assert names(listing) == ["a"]


def test_a_change_in_the_same_tick_of_the_clock_is_not_missed(tmp_path, listing):
    now = time.time_ns()
    os.utime(tmp_path, ns=(now, now))
    assert names(listing) == []
    (tmp_path / "a").touch()
    os.utime(tmp_path, ns=(now, now))  # as a file system with a coarse clock would have it
    assert names(listing) == ["a"]


def test_a_directory_that_is_gone(tmp_path, listing):
    tmp_path.rmdir()
    with pytest.raises(FileNotFoundError):
        listing.changed(1)


def test_only_so_many_entries_are_looked_at(tmp_path, listing):
    for number in range(10):
        (tmp_path / str(number)).touch()
    assert len(names(listing, 9)) == 9
    assert listing.cut
    (tmp_path / "0").unlink()
    assert len(names(listing, 9)) == 9
    assert not listing.cut


def test_other_names_do_not_count_but_are_not_looked_at_for_ever(tmp_path, listing):
    for number in range(60):
        (tmp_path / f"checkpoint-{number}").touch()
    (tmp_path / "ours").touch()
    assert names(listing, 4) == ["ours"]
    assert not listing.cut
    for number in range(60):
        (tmp_path / f"more-{number}").touch()
    names(listing, 4)
    assert listing.cut


def test_the_owner_hears_of_what_happens(tmp_path, listing, watcher, owner):
    listing.changed(1)
    (tmp_path / "a").touch()
    with (tmp_path / "a").open("w") as file:
        file.write("text")
    (tmp_path / "a").rename(tmp_path / "b")
    watcher.poll()
    assert owner.heard == ["changed", "written", "changed", "changed"]
    watcher.poll()
    assert len(owner.heard) == 4


def test_a_directory_that_never_rests_is_listened_to_no_more(tmp_path, listing, watcher, owner):
    listing.changed(1)
    for _ in range(200):
        (tmp_path / "a").touch()
        (tmp_path / "a").unlink()
    watcher.poll()
    assert owner.is_lost
    (tmp_path / "b").touch()
    owner.heard.clear()
    watcher.poll()
    assert owner.heard == []


def test_after_a_flood_of_events_everything_is_looked_at(tmp_path, listing, watcher, owner):
    limit = int(Path("/proc/sys/fs/inotify/max_queued_events").read_text())
    quiet = tmp_path / "quiet"
    quiet.mkdir()
    other = Owner()
    Listing(SafeDirectory(str(quiet), hold=True), ".", OURS, watcher, other).changed(1)
    listing.changed(1)
    for number in range(limit + 10):
        (tmp_path / str(number)).touch()
    while not other.heard:
        watcher.poll()
    assert other.heard[0] == "changed"


def test_a_renamed_directory_is_still_listened_to_when_its_old_name_is_given_up(tmp_path, watcher):
    (tmp_path / "old").mkdir()
    root, owners = SafeDirectory(str(tmp_path), hold=True), (Owner(), Owner())
    before, after = (
        Listing(root, n, OURS, watcher, o) for n, o in zip(("old", "new"), owners, strict=True)
    )
    before.changed(1)
    (tmp_path / "old").rename(tmp_path / "new")
    after.changed(1)
    before.close()
    (tmp_path / "new" / "a").touch()
    watcher.poll()
    assert owners[1].heard == ["changed"]
    root.close()


def test_ranks_are_found_in_the_order_of_their_numbers(tmp_path):
    numbers = [10, 2, 0, 11, 1, 9]
    for number in numbers:
        (tmp_path / "node_0" / f"rank_{number}").mkdir(parents=True)
    reader = Reader(tmp_path, Recorder(), hold=True)
    try:
        reader.rank.volume.look(0.0)
        found = [int(rank.local_rank) for rank in reader.rank.volume.ranks.values()]
        assert found == sorted(numbers)
    finally:
        reader.close()
