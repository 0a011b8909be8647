# SPDX-License-Identifier: Apache-2.0
"""The checks of the chaos run, on answers and lines that are known to be right or wrong."""

import pytest

from support.chaos import rules
from support.chaos.acts import ACTS
from support.chaos.answers import Series
from support.chaos.delays import Delays
from support.chaos.oracle import Life, Line, Who
from support.chaos.plan import plan
from support.chaos.promises import counts, sent, values
from support.chaos.settings import ChaosSettings

WHO = Who("0", "0", "r-0-0")
DELAYS = Delays(ChaosSettings(lag=4.0, scrape_late=1.5))
KEY = Series(sent.METRIC, WHO, "n")


def life(lines=20):
    """One line a second from 100 on, whose `n` is its number."""
    made = Life(WHO, "records")
    made.lines = [Line(n, 100 + n, n, {"n": n}, 100 + n, 100.1 + n) for n in range(lines)]
    made.begins = [100]
    return made


def kinds(found):
    return [what for what, _, _ in found]


@pytest.mark.parametrize(
    ("samples", "expected"),
    [
        ([(105, 5), (110, 10)], []),
        ([(110, 10), (111, 7), (112, 12)], ["fell"]),
        ([(110, 3)], ["too few"]),
        ([(105, 12)], ["too many"]),
    ],
)
def test_counts(samples, expected):
    found = [*counts._falls(life(), samples), *counts._beyond(DELAYS, life(), samples)]
    assert kinds(found) == expected


@pytest.mark.parametrize(("fall", "expected"), [(11, []), (2, ["increase"])])
def test_an_increase_takes_a_fall_for_a_reset(fall, expected):
    samples = [(105, 5), (111, 11), (112, fall), (119, 19)]
    assert kinds(counts._increase(DELAYS, life(), samples)) == expected


@pytest.mark.parametrize(
    ("samples", "expected"),
    [
        ([(105, 4), (110, 10), (125, 19)], []),
        ([(105, 5), (106, 4)], ["older again"]),
        ([(110, 2)], ["not the newest"]),
        ([(105, 9)], ["never logged"]),
        ([(105, 0.5)], ["never logged"]),
    ],
)
def test_values(samples, expected):
    assert kinds(values.Served(DELAYS, life(), KEY).wrong(samples)) == expected


@pytest.mark.parametrize(
    ("samples", "expected"),
    [
        ([(100, 0), (101, 1), (102.9, 2)], []),
        ([(100, 0), (101, 1)], ["lost"]),
        ([(100, 0), (101, 1), (101.5, 1), (102, 2)], ["doubled"]),
        ([(100, 0), (101, 1), (102, 2), (103, 7)], ["false"]),
        ([(100, 0), (101, 1), (104, 2)], ["doubled", "lost"]),  # at another time
    ],
)
def test_sent(samples, expected):
    assert kinds(sent._compare(life(3).lines, (sent.METRIC, "n"), samples, 1.1)) == expected


def test_a_hang_puts_off_what_must_be_there():
    hung = life()
    hung.volume = "hung"
    delays = Delays(DELAYS.settings, [(110, 120)])
    assert [delays.earliest(each, 122) for each in (life(), hung)] == [118, 106]
    assert delays.earliest(hung, 130) == 126


def test_a_run_is_over_until_it_is_resumed():
    finished = life()
    finished.finishes = [120]
    assert [finished.over(at, at, 3) for at in (119, 122, 124)] == [False, False, True]
    finished.begins.append(130)
    assert not finished.over(131, 131, 3)


def test_rules_are_shortened_and_counts_in_them_are_not():
    text = "a > 600 and changes(b[1h] offset 5m) > 12 and clamp_min(120 * c, 10) < 0.05"
    short = "a > 30 and changes(b[180000ms] offset 15000ms) > 12 and clamp_min(6 * c, 10) < 0.05"
    assert rules._expression(text, 20) == short


def test_the_same_seed_plans_the_same():
    one, again, other = (plan(seed, 60, [*ACTS], 4) for seed in "112")
    assert one == again != other
    assert {act.kind for act in one} == {*ACTS}
