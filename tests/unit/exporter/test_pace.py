# SPDX-License-Identifier: Apache-2.0
import time

import pytest
from primus_lens_exporter.sending.pace import (
    ABREAST_MS,
    ASKING_SECONDS,
    PATIENCE_SECONDS,
    Pace,
)

NIGHT_AGO = round(time.time() * 1000) - 8 * 3_600_000


@pytest.fixture
def pace():
    """Two ranks, `front` further than `last` by more than is allowed; both have asked."""
    pace = Pace(0.0)
    assert pace.allows("front", 0.0)
    pace.advance("front", NIGHT_AGO + ABREAST_MS + 1)
    assert not pace.allows("front", 0.5)  # nobody knows who else is there
    assert pace.allows("last", 0.5)
    pace.advance("last", NIGHT_AGO)
    assert pace.allows("last", 1.2)
    return pace


def test_who_is_ahead_waits_until_the_last_has_caught_up(pace):
    assert not pace.allows("front", 1.3)
    pace.advance("last", NIGHT_AGO + 1)
    assert pace.allows("last", 1.4)
    assert pace.allows("front", 1.5)


def test_nobody_waits_for_a_rank_that_has_no_more_to_read(pace):
    assert pace.allows("front", 1.2 + ASKING_SECONDS + 0.1)


def test_nobody_waits_for_a_rank_that_is_gone(pace):
    pace.release("last")
    assert pace.allows("front", 1.4)


def test_what_is_fresh_never_waits(pace):
    pace.advance("front", round(time.time() * 1000) - 1000)
    assert pace.allows("front", 1.3)


def test_a_rank_with_a_wrong_clock_is_not_waited_for_for_ever(pace):
    waited = []
    for tenth in range(13, 100):
        now = tenth / 10
        assert pace.allows("last", now)
        pace.advance("last", NIGHT_AGO + round(now * 1000) - 100_000)
        waited.append(not pace.allows("front", now))
    assert waited[0]
    assert not waited[-1]
    assert PATIENCE_SECONDS * 10 - 5 < sum(waited) < PATIENCE_SECONDS * 10 + 15
