# SPDX-License-Identifier: Apache-2.0
import os
import time

import pytest
from primus_lens_exporter.listing import Listing


def names(listing):
    entries = listing.changed()
    return None if entries is None else sorted(entry.name for entry in entries)


def test_listed_again_only_when_something_has_changed(tmp_path):
    listing = Listing(str(tmp_path))
    long_ago = time.time() - 60
    os.utime(tmp_path, (long_ago, long_ago))
    assert names(listing) == []
    assert names(listing) is None
    (tmp_path / "a").touch()
    assert names(listing) == ["a"]


def test_a_change_in_the_same_tick_of_the_clock_is_not_missed(tmp_path):
    listing = Listing(str(tmp_path))
    now = time.time_ns()
    os.utime(tmp_path, ns=(now, now))
    assert names(listing) == []
    (tmp_path / "a").touch()
    os.utime(tmp_path, ns=(now, now))  # as a file system with a coarse clock would have it
    assert names(listing) == ["a"]


def test_a_directory_that_is_gone(tmp_path):
    with pytest.raises(FileNotFoundError):
        Listing(str(tmp_path / "gone")).changed()
