# SPDX-License-Identifier: Apache-2.0
"""What displaced rows are plotted over, what waits at most, and for how long."""

import sys
import time
import traceback
import tracemalloc

from hypothesis import given
from hypothesis import strategies as st
from primus_lens_hook.step_fix.manager import ATTRIBUTE
from primus_lens_hook.step_fix.metric_definitions import AXIS

from support import native_model
from support.examples import times
from support.repaired import repaired

HF = "train/global_step"


def displaced(define=lambda run: None, late=None, **bounds):
    """A run whose last row is late: wandb has passed its step."""
    run_class, step_fix = repaired(**bounds)
    run = run_class()
    define(run)
    for step in range(5):
        run.log({"loss": step}, step)
    run.log(late or {"eval.acc": 1}, 2)
    step_fix.flush()
    return run


def test_displaced_keys_alone_are_plotted_over_their_step():
    run = displaced()
    assert run.metrics["eval\\.acc"]["step_metric"] == AXIS
    assert set(run.metrics) == {AXIS, "eval\\.acc"}
    assert run.metrics[AXIS]["summary"] == "none"


def test_the_users_axes_win_whenever_they_are_defined():
    before = displaced(lambda run: run.define_metric("eval.*", step_metric="epoch"))
    assert "eval\\.acc" not in before.metrics
    after = displaced()
    after.define_metric("eval*", "epoch", None, None, "min")
    assert after.metrics["eval\\.acc"] == {"step_metric": "epoch", "summary": "min"}


def test_a_key_with_a_star_is_no_pattern():
    assert set(displaced(late={"odd*": 1}).metrics) == {AXIS}


def test_a_late_row_has_the_axis_that_wandb_would_have_filled_in():
    run = displaced(lambda run: (run.define_metric("*", step_metric=HF), run.log({HF: 7})))
    run.finish()
    assert [row[HF] for row in run.rows if "eval.acc" in row] == [7]


def test_a_late_row_takes_a_step_that_nobody_uses():
    run = repaired()[0]()
    for step in 0, 10, 3, 20, 30:
        run.log({"a": step}, step)
    run.finish()
    assert {row["_step"]: row["a"] for row in run.rows} == {0: 0, 10: 10, 11: 3, 20: 20, 30: 30}


def test_a_late_row_waits_for_one_rather_than_displace_others():
    run = repaired()[0]()
    for step in 0, 1, 2, 0, 3, 4:
        run.log({"a": step}, step)
    run.finish()
    assert {row["_step"]: row["a"] for row in run.rows} == {0: 0, 1: 1, 2: 2, 3: 3, 4: 4, 5: 0}


def test_a_row_keeps_its_step_when_a_framework_joins_it():
    run = repaired()[0]()
    run.log({"a": 1}, 5)
    run.log({"b": 2, HF: 7})
    assert run.rows == [{"_step": 5, "a": 1, "b": 2, HF: 7, AXIS: 5}]


@times(2)
@given(steps=st.lists(st.integers(0, 60), max_size=60), text=st.sampled_from(["", "x" * 500]))
def test_no_more_waits_than_allowed(steps, text):
    run_class, _ = repaired(buffer_size=7, bytes=4000)
    run = run_class()
    for number, step in enumerate(steps):
        run.log({"a": number, "text": text}, step)
        state = vars(run)[ATTRIBUTE]._state
        if state.waiting():
            assert max(len(state.window), len(state.late)) <= 7
            assert max(state.window.bytes, state.late.bytes) <= 4000


def test_rows_leave_in_time_and_the_timer_ends_with_the_run():
    before = timers()
    run_class, _ = repaired(flush_interval=0.05)
    run = run_class()
    for step in 5, 2, 9:
        run.log({"a": step}, step)
    time.sleep(0.5)
    begun = timers() - before
    assert begun
    assert vars(run)[ATTRIBUTE]._state.waiting() == []
    run.finish()
    deadline = time.monotonic() + 5
    while begun <= timers() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not begun <= timers()
    assert {row["a"] for row in run.rows} == {2, 5, 9}


def timers():
    """The threads that send what is overdue; those of other tests may be among them."""
    stacks = {each: traceback.extract_stack(f) for each, f in sys._current_frames().items()}
    return {each for each, stack in stacks.items() if "_flush_overdue" in {f.name for f in stack}}


def held(run):
    """Bytes that a run of 4,000 calls at one step holds, its rows in wandb among them."""
    run.define_metric("loss*", step_metric="epoch")
    tracemalloc.start()
    for value in range(4000):
        run.log({"loss": float(value), "epoch": 1.0}, step=1)
    size, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return size


def test_a_row_that_many_calls_join_holds_the_newest_values_alone():
    assert held(repaired()[0]()) < held(native_model.Run()) + 100_000
