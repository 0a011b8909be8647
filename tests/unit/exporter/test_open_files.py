# SPDX-License-Identifier: Apache-2.0
import pytest
from primus_lens_exporter.reading import open_files as open_files_module
from primus_lens_exporter.reading.counts import Counts
from primus_lens_exporter.reading.open_files import OpenFiles

from support.interleaving import outcomes


def opened(open_files, counts, wanted):
    """How many of the files that a tenant wants it gets."""
    held = 0
    while held < wanted and open_files.may_open(held, counts):
        held += 1
        open_files.add(1)
    return held


@pytest.mark.parametrize(
    ("wanted", "got"),
    [
        ([1] * 12, [1] * 12),
        ([3, 3, 3], [3, 3, 3]),
        ([1000, 1000, 1000, 1, 1], [50, 25, 13, 1, 1]),  # none takes all, and none gets nothing
    ],
)
def test_a_tenant_may_hold_as_many_as_are_left_for_others(wanted, got):
    open_files, counts = OpenFiles(100), Counts()
    assert [opened(open_files, counts, each) for each in wanted] == got


def test_what_is_left_out_is_counted_and_warned_of_once(caplog):
    open_files, counts = OpenFiles(1), Counts()
    open_files.add(1)
    assert [open_files.may_open(0, counts) for _ in range(3)] == [False] * 3
    assert counts.limited["open_files"] == 3
    assert len(caplog.records) == 1


def test_two_threads_that_count_at_the_same_time():
    def left(open_files):
        return sum(open_files.may_open(held, Counts()) for held in range(20))

    def add(open_files):
        open_files.add(2)

    found = outcomes(lambda: OpenFiles(10), add, add, left, traced=open_files_module.__file__)
    assert set(found) == {6}
