# SPDX-License-Identifier: Apache-2.0
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from primus_lens_exporter.live.hints import RankNow, hints, speed
from primus_lens_exporter.model.record import Record
from primus_lens_exporter.model.series_rules import SeriesRules
from primus_lens_exporter.series.recent_history import RecentHistory
from primus_lens_exporter.series.store import Store

from support.holding import Holder, give

NOW = 10_000.0


def history_of(steps=None, losses=None, key="loss"):
    """One sample each ten seconds up to now."""
    history = RecentHistory()
    count = len(steps or losses)
    if losses:
        history.add_loss(key)
    for slot in range(count):
        at = NOW - 10 * (count - 1 - slot)
        step = steps[slot] if steps else slot
        logged = {key: losses[slot]} if losses else {}
        history.take([Record(at, logged, step)], step, logged)
    return history


def rank(local_rank=0, ago=1.0, over=False, losses=None, history=None):
    name = f"0/{local_rank}"
    return RankNow(name, name, NOW - ago, over, losses or {}, history, speed(history, NOW))


def found(*ranks):
    return [(hint.kind, *hint.rank_ids) for hint in hints(ranks, NOW)]


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_loss_that_is_not_finite(value):
    assert found(rank(0, losses={"loss": 1.0}), rank(1, losses={"loss": value})) == [
        ("loss_not_finite", "0/1")
    ]


@pytest.mark.parametrize(
    ("value", "is_one"),
    [(2.0, False), (4.0, False), (4.1, True), (-9.0, False), (math.nan, False)],
)
def test_a_spike_is_six_deviations_above_the_mean_before_the_last_five_minutes(value, is_one):
    """The mean is 1 and the deviation 0.5: whatever the newest values are."""
    history = history_of(losses=[0.5, 1.5] * 100 + [50.0] * 30)
    kinds = [kind for kind, *_ in found(rank(losses={"loss": value}, history=history))]
    assert ("loss_spike" in kinds) is is_one


@pytest.mark.parametrize("changes", [20, 21])
def test_without_twenty_changes_there_is_no_spread(changes):
    losses = [float(each % 2) for each in range(changes + 1)]
    history = history_of(losses=[*losses, *[losses[-1]] * 60])
    assert bool(found(rank(losses={"loss": 99.0}, history=history))) is (changes > 20)


@pytest.mark.parametrize(
    "odd", [[math.nan], [math.inf], [math.inf, -math.inf], [1e308, 1e308]], ids=str
)
def test_an_hour_that_holds_what_is_no_number_has_no_spread(odd):
    history = history_of(losses=[0.5, 1.5] * 50 + odd + [0.5, 1.5] * 50)
    assert not found(rank(losses={"loss": 99.0}, history=history))


@pytest.mark.parametrize(
    ("ranks", "stalled"),
    [
        ([rank(0, ago=601)], ["0/0"]),
        ([rank(0, ago=599)], []),
        ([rank(0, ago=601), rank(1, ago=5)], []),
        ([rank(0, ago=601, over=True)], []),
        ([rank(0, ago=601), rank(1, ago=5, over=True)], ["0/0"]),
    ],
    ids=["silent", "not yet", "another one logs", "finished", "another one has left"],
)
def test_a_run_is_stalled_when_no_rank_that_is_left_logs(ranks, stalled):
    assert [list(hint.rank_ids) for hint in hints(ranks, NOW)] == ([stalled] if stalled else [])


def moving(steps_per_sample, count=60):
    return history_of(steps=[slot * steps_per_sample for slot in range(count)])


@pytest.mark.parametrize(
    ("steps_per_sample", "is_one"), [(10, False), (7, False), (6, True), (0, False)]
)
def test_a_straggler_makes_less_than_two_thirds_of_the_median_rank(steps_per_sample, is_one):
    ranks = [rank(each, history=moving(10)) for each in range(3)]
    slow = rank(3, history=moving(steps_per_sample))
    assert found(*ranks, slow) == ([("rank_straggler", "0/3")] if is_one else [])


def read(steps_per_sample, late_per_sample, count=60, first=0):
    """What an exporter keeps of a row (from `first` on) and a late row each ten seconds."""
    store = Store(SeriesRules())
    for slot in range(count):
        at = NOW - 10 * (count - 1 - slot)
        late = Record(at, {}, slot * late_per_sample, "r", late=True)
        rows = [Record(at, {}, slot * steps_per_sample, "r"), late]
        give(store, (), rows if slot >= first else [late], Holder())
    return store.runs[(), "r"].history


@pytest.mark.parametrize(("steps", "late_steps", "is_one"), [(10, 1, False), (1, 10, True)])
def test_late_rows_neither_make_nor_hide_a_straggler(steps, late_steps, is_one):
    ranks = [rank(each, history=moving(10)) for each in range(3)]
    slow = rank(3, history=read(steps, late_steps))
    assert found(*ranks, slow) == ([("rank_straggler", "0/3")] if is_one else [])


@pytest.mark.parametrize(("first", "is_one"), [(29, True), (30, False), (60, False)])
def test_speeds_are_compared_five_minutes_after_the_first_row_that_is_not_late(first, is_one):
    ranks = [rank(each, history=moving(10)) for each in range(3)]
    assert bool(found(*ranks, rank(3, history=read(1, 10, first=first)))) is is_one


@pytest.mark.parametrize(("count", "is_one"), [(30, False), (31, True)])
def test_speeds_are_compared_after_five_minutes(count, is_one):
    ranks = [rank(each, history=moving(10, count)) for each in range(3)]
    assert bool(found(*ranks, rank(3, history=moving(1, count)))) is is_one


def test_a_rank_that_stands_still_was_fast_within_the_hour():
    stopped = history_of(steps=[*range(0, 300, 10), *[300] * 40])
    assert found(
        *(rank(each, history=moving(10)) for each in range(3)), rank(3, history=stopped)
    ) == [("rank_straggler", "0/3")]


@pytest.mark.parametrize(
    ("steps", "expected"),
    [([0, 10, 20, 30], 1.0), ([30, 20, 10], 0.0), ([5], None), ([math.inf, 5], None)],
)
def test_steps_a_second(steps, expected):
    assert speed(history_of(steps=steps), NOW) == pytest.approx(expected)


def test_nothing_is_wrong_with_a_run_without_faults():
    calm = history_of(losses=[1 + each % 7 / 10 for each in range(390)])
    assert not found(*(rank(each, losses={"loss": 1.2}, history=calm) for each in range(4)))


@given(st.lists(st.floats(), min_size=1, max_size=60), st.floats(), st.floats(-1e300, 1e300))
def test_whatever_a_pod_logs_no_hint_fails(values, newest, at):
    history = history_of(steps=values, losses=values)
    rank_now = RankNow("a", "0/0", at, False, {"loss": newest}, history, speed(history, NOW))
    for hint in hints([rank_now, rank_now], NOW):
        assert hint.text.endswith(".")


@pytest.mark.parametrize("stuck", [True, False])
def test_where_records_cannot_be_read_nobody_is_silent_or_slow(stuck):
    silent = rank(0, ago=700)._replace(stuck=stuck)
    assert bool(found(silent, rank(1, ago=700))) is not stuck
    slow = rank(2, history=history_of(steps=[*range(300), *[299] * 60]))._replace(stuck=stuck)
    fast = [rank(each, history=history_of(steps=[*range(360)])) for each in (0, 1)]
    assert found(*fast, slow) == ([] if stuck else [("rank_straggler", "0/2")])
