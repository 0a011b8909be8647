# SPDX-License-Identifier: Apache-2.0
import email.utils
import time

import pytest
from primus_lens_exporter.sending import backoff

NO_TIME = ["0", "00", " 0 ", -86400, "Thu, 01 Jan 1970 00:00:00 GMT", "Mon, 00 Xyz", "", "-5"]


def header(said):
    """A number stands for the date that is so many seconds from now, as HTTP writes it."""
    if not isinstance(said, int):
        return said
    return email.utils.formatdate(time.time() + said, usegmt=True)


@pytest.mark.parametrize("said", [*NO_TIME, None])
def test_no_answer_makes_a_hot_loop(said):
    for tries in range(30):
        least = min(backoff.MAX_WAIT, backoff.MIN_WAIT * 2**tries) / 2
        assert backoff.wait(tries, header(said)) >= least


@pytest.mark.parametrize(("said", "seconds"), [("7", 7), (100, 100), ("9" * 30, 300)])
def test_what_the_receiver_asks_for_is_heeded_up_to_a_bound(said, seconds):
    assert seconds - 2 <= backoff.wait(0, header(said)) <= seconds
    assert backoff.wait(20, "6") >= 5


def test_two_exporters_do_not_come_at_the_same_time():
    assert len({backoff.wait(5, None) for _ in range(10)}) > 5
