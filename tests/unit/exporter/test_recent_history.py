# SPDX-License-Identifier: Apache-2.0

import pytest
from hypothesis import given
from hypothesis import strategies as st
from primus_lens_exporter.model.loss import LOSS
from primus_lens_exporter.model.record import Record
from primus_lens_exporter.model.series_rules import SeriesRules
from primus_lens_exporter.series.recent_history import EVERY_SECONDS, KEPT, MAX_LOSSES
from primus_lens_exporter.series.store import Store

from support.holding import Holder, give

RANK = (("node_rank", "0"), ("local_rank", "0"))


def history_of(*batches, holder=None):
    store = Store(SeriesRules())
    for batch in batches:
        give(store, RANK, list(batch), holder or Holder())
    return store.runs[RANK, "r"].history


def at(time, step=None, **data):
    return Record(time, data, step, "r")


def late(time):
    return Record(time, {"loss": 9}, 10**6, "r", late=True)


@pytest.mark.parametrize(
    ("key", "is_one"),
    [
        ("loss", True), ("train/loss", True), ("eval_loss", True), ("lm loss", True),
        ("a.b-loss", True), ("gloss", False), ("loss_scale", False), ("train/loss/x", False),
    ],
)  # fmt: skip
def test_a_loss_is_known_by_its_key(key, is_one):
    assert bool(LOSS.fullmatch(key)) is is_one


def test_one_sample_in_ten_seconds_whatever_was_read_at_once():
    records = [at(float(second), second, loss=second / 2) for second in range(100)]
    one_by_one, at_once = history_of(*([each] for each in records)), history_of(records)
    assert list(one_by_one.at) == list(range(0, 100, 10))
    assert list(one_by_one.steps) == list(range(0, 100, 10))
    assert list(one_by_one.losses["loss"]) == [second / 2 for second in range(0, 100, 10)]
    assert list(at_once.at) == list(one_by_one.at)
    assert list(at_once.losses["loss"]) == list(one_by_one.losses["loss"])


def test_a_sample_has_the_newest_value_whichever_call_logged_it():
    history = history_of([at(0, 1, loss=1), at(1, 2, lr=5)], [at(11, 3, loss=2)], [at(22, 4, lr=5)])
    assert list(history.losses["loss"]) == [1, 2, 2]
    assert list(history.steps) == [1, 3, 4]


@pytest.mark.parametrize("at_once", [True, False])
def test_late_rows_leave_no_step_and_their_losses(at_once):
    rows = [late(0), at(10, 5, loss=1), late(15), late(20), at(30, 3, loss=2), late(40)]
    history = history_of(rows) if at_once else history_of(*([row] for row in rows))
    assert list(history.at) == [0, 10, 20, 30, 40]
    assert list(history.steps) == [5, 5, 3, 3]
    assert list(history.losses["loss"]) == [9, 1, 9, 2, 9]


def test_a_loss_is_there_from_its_first_value_on():
    history = history_of([at(0, 1, lr=1)], [at(20, 2, loss=3)], [at(30, 3, lr=1)])
    assert list(history.losses["loss"]) == [3, 3]
    assert list(history.window(history.losses["loss"], 0, 40)) == [3, 3, 3]


def test_the_oldest_samples_go():
    history = history_of([at(second * EVERY_SECONDS, second, loss=1) for second in range(KEPT + 7)])
    assert len(history.at) == len(history.steps) == len(history.losses["loss"]) == KEPT
    assert history.at[0] == 7 * EVERY_SECONDS


def test_few_losses_have_a_past():
    history = history_of([at(0, 1, **{f"{each}/loss": 1 for each in range(9)})])
    assert len(history.losses) == MAX_LOSSES


def test_clocks_that_go_back_do_no_harm():
    history = history_of([at(100, 1)], [at(50, 2)], [at(1e12, 3)], [at(120, 4)])
    assert list(history.at) == [100, 1e12]


def test_no_pod_has_more_trails_than_it_may_and_each_is_given_back():
    store, holder = Store(SeriesRules()), Holder(histories=2)
    give(store, RANK, [Record(1.0, {}, 1, run) for run in "abc"], holder)
    kept = [store.runs[RANK, run].history is not None for run in "abc"]
    assert (kept, holder.limits) == ([True, True, False], {"trails_per_pod": 1})
    store.release(holder)
    assert holder.history_quota.used == 0


@given(st.lists(st.floats(0, 1000), max_size=30), st.floats(-50, 1100), st.floats(0, 500))
def test_a_window_has_what_each_scrape_would_have_found(times, start, length):
    history = history_of(
        *([at(time, slot)] for slot, time in enumerate(sorted(times))), [at(2000, 99)]
    )
    found = list(history.window(history.steps, start, start + length))
    scrapes = [10 * each for each in range(-10, 200) if start <= 10 * each <= start + length]
    known = [
        [s for t, s in zip(history.at, history.steps, strict=True) if t <= each] for each in scrapes
    ]
    assert found == [steps[-1] for steps in known if steps]
