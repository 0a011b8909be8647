# SPDX-License-Identifier: Apache-2.0
"""When a rank is looked at and read; seconds after a moment at which there was something."""

import math

import pytest
from primus_lens_exporter.reading.safe_open import SafeDirectory
from primus_lens_exporter.reading.schedule import Schedule
from primus_lens_exporter.reading.watcher import CHANGED, WRITTEN, Watcher


class Timed(Schedule):
    """A schedule whose clock is the test's."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.busy_at = 0.0

    def turn(self, now, *, cost=0.0, found=False):
        """A tick in which all is done; returns when the next one matters."""
        self.begin_scan(now)
        self.end_scan(cost)
        written = self.begin_turn(now)
        if found:
            self.found()
        self.all_read(written=written)
        self.rest(now, math.inf)
        return self.wake_at


@pytest.fixture
def new(tmp_path):
    root, watcher = SafeDirectory(str(tmp_path), hold=True), Watcher()
    yield Timed(root, ".", watcher)
    watcher.close()
    root.close()


@pytest.fixture
def schedule(new):
    new.turn(0, found=True)
    return new


@pytest.fixture
def watched(schedule):
    schedule.listing.changed(10)
    assert schedule.listing.watched
    return schedule


def test_a_new_one_is_looked_at_and_read_at_once(new):
    assert new.wake_at == 0
    assert new.due(0)
    assert new.scan_due(0)


def test_without_a_watch_it_is_read_in_each_tick_until_it_is_quiet(schedule):
    assert schedule.turn(9) == 0
    assert schedule.turn(11) == 11 + 4


def test_with_a_watch_it_is_read_only_when_something_was_written(watched):
    assert watched.turn(5) == 5 + 5
    assert watched.turn(11) == 11 + 30
    watched.touched(WRITTEN)
    assert watched.wake_at == 0
    assert watched.due(12)
    assert not watched.scan_due(12)


def test_names_that_change_are_listed_at_once_but_for_what_listing_costs(watched):
    assert watched.turn(11, cost=0.1) == 11 + 30
    watched.touched(CHANGED)
    assert not watched.scan_due(11 + 1.9)
    assert watched.scan_due(11 + 2)
    watched.rest(12, math.inf)
    assert watched.wake_at == 11 + 2


def test_what_was_written_and_has_nothing_new_may_have_been_rewritten(watched):
    watched.turn(11)
    watched.touched(WRITTEN)
    assert watched.turn(12) == 0
    assert watched.scan_due(12)
    assert watched.begin_scan(12)


@pytest.mark.parametrize("end", [Schedule.put_off, Schedule.begin_turn])
def test_whoever_has_not_read_all_is_due(watched, end):
    watched.turn(11)
    end(watched, 12)
    assert watched.due(12)


def test_without_its_watch_it_is_polled_again(watched):
    watched.turn(11)
    watched.lost(watched.listing._watch)
    assert watched.scan_due(11)
    assert watched.turn(41) == 41 + 4
