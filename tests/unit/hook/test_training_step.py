# SPDX-License-Identifier: Apache-2.0
"""The training step of each call, and which rows are late; then both in a real training."""

import numpy as np
import pytest
from primus_lens_hook.training_step import TrainingStep


def told(calls, steps=None):
    """(training step, late) of each call: a step, or a row without one."""
    steps, answers = steps or TrainingStep(), []
    for call in calls:
        row = call if isinstance(call, dict) else {"loss": 1}
        explicit, keys = None if isinstance(call, dict) else call, tuple(row)
        shown, *answer = steps.of(explicit, row, keys)
        if shown is not None:
            steps.note(shown, keys)
        answers.append(tuple(answer))
    return answers


def test_only_the_counter_is_known_before_a_row_shows_a_step():
    assert told([{"a": 1}, 5, {"a": 1}]) == [(None, False), (5, False), (5, False)]


@pytest.mark.parametrize("axis", ["train/global_step", "trainer/global_step", "global_step"])
@pytest.mark.parametrize("value", [7, 7.0, np.int64(7)])
def test_a_row_shows_it_on_the_main_axis(axis, value):
    assert told([{axis: value}, {"a": 1}]) == [(7, False), (7, False)]


@pytest.mark.parametrize("row", [{"epoch/epoch": 3}, {"global_step": 1.5}, {"global_step": True}])
def test_other_columns_show_none(row):
    assert told([9, row]) == [(9, False), (9, False)]


def test_the_users_main_axis_comes_first():
    steps = TrainingStep()
    steps.set_main_axis("tokens")
    assert told([{"tokens": 90, "global_step": 3}], steps) == [(90, False)]


def test_a_callback_one_step_late_moves_nothing():
    calls = [10, {"callback": 1, "global_step": 9}, {"a": 1}, 11]
    assert told(calls) == [(10, False), (9, True), (10, False), (11, False)]


def test_a_straggler_is_no_rewind():
    assert told([10, 9, 11, 10]) == [(10, False), (9, True), (11, False), (10, True)]


def test_a_rewind_moves_it_back_with_its_second_row():
    assert told([58, 59, 30, 31, 32]) == [
        (58, False), (59, False), (30, True), (31, False), (32, False)]  # fmt: skip


def test_a_rewind_may_name_its_keys_in_another_order():
    rows = [{"global_step": 59, "a": 1}, {"a": 1, "global_step": 30}, {"global_step": 31, "a": 1}]
    assert told(rows) == [(59, False), (30, True), (31, False)]


def test_the_trainings_own_word_wins_for_rows_without_a_step():
    steps = TrainingStep()
    steps.note(59, ("loss",))
    steps.set(30)
    assert told([{"a": 1}, 31, 29], steps) == [(30, False), (31, False), (29, True)]
