# SPDX-License-Identifier: Apache-2.0
"""What the step fix holds whatever a training does, on the model of wandb."""

import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st
from primus_lens_hook.step_fix.metric_definitions import AXIS

from support import native_model
from support.examples import times
from support.native_model import Media, Unserializable
from support.repaired import KEYS, overdue, repaired, user_rows, values_of


class Log:
    """A log call; its values are numbered when it is made."""

    def __init__(self, run, keys, step, commit, media):
        self.run, self.keys, self.step, self.commit, self.media = run, keys, step, commit, media

    def __repr__(self):
        return f"log({self.keys}, {self.step}, {self.commit}, run={self.run}, {self.media})"


steps = st.none() | st.integers(0, 12)
logs = st.builds(
    Log,
    run=st.integers(0, 1),
    keys=st.sets(st.sampled_from(KEYS)),
    step=steps,
    commit=st.sampled_from([None, None, True, False]),
    media=st.booleans(),
)
defines = st.tuples(st.just("define"), st.sampled_from([*KEYS, "a*", "*"]))
others = st.sampled_from([("flush",), ("overdue",), ("finish",)])
trainings = st.lists(st.one_of(logs, logs, logs, logs, defines, others), max_size=40)


def train(run_class, step_fix, training):
    """Returns both runs and what each was sent: (values, step, commit) for each call."""
    runs, sent, number = (run_class(), run_class()), ([], []), 0
    for event in training:
        if isinstance(event, Log):
            values = {}
            for key in sorted(event.keys):
                number += 1
                values[key] = Media(number) if event.media and key == "b" else number
            if not runs[event.run]._finished:
                sent[event.run].append((values, event.step, event.commit))
                runs[event.run].log(values, event.step, event.commit)
        elif event[0] == "define":
            runs[0].define_metric(event[1], step_metric="mine")
        elif event[0] == "finish":
            runs[1].finish()
        elif step_fix is not None:
            step_fix.flush() if event[0] == "flush" else overdue(step_fix)
    for run in runs:
        run.finish() if not run._finished else None
    return runs, sent


def overwritten(native):
    """The values that wandb itself overwrites: a key again, in the row still open."""
    kept = values_of(user_rows(native)) + values_of(native.dropped)
    return set(native.sent) - set(kept)


@pytest.mark.parametrize("keep", [True, False], ids=["keep", "last"])
@times(4)
@given(training=trainings, buffer_size=st.sampled_from([0, 1, 3, 100]))
def test_no_value_is_lost_or_doubled(keep, training, buffer_size):
    run_class, step_fix = repaired(keep_duplicates=keep, buffer_size=buffer_size)
    natives, _ = train(native_model.Run, None, training)
    for run, native in zip(train(run_class, step_fix, training)[0], natives, strict=True):
        had, has = Counter(native.sent), values_of(user_rows(run))
        assert not has - had
        assert set(had - has) <= (set() if keep else overwritten(native))
        assert run.dropped == []
    assert step_fix.counts()["dropped"] == 0


@times(4)
@given(training=trainings)
def test_steps_rise_and_the_axis_is_the_explicit_step(training):
    run_class, step_fix = repaired()
    for run, sent in zip(*train(run_class, step_fix, training), strict=True):
        natives = [row["_step"] for row in run.rows]
        assert natives == sorted(set(natives))
        meant = {value: step for values, step, _ in sent for value in values.values()}
        for row in run.rows:
            explicit = {meant[v] for k, v in row.items() if k in KEYS and meant[v] is not None}
            assert explicit <= {row.get(AXIS)}


def number_of(value):
    return getattr(value, "number", value)


def rewinds(run):
    guard = vars(run).get("_primus_lens_steps")
    return guard.context.steps.rewinds if guard else 0


@times(4)
@given(training=trainings)
def test_the_summary_is_the_newest_logical_value(training):
    run_class, step_fix = repaired()
    for run in train(run_class, step_fix, training)[0]:
        if rewinds(run):  # then lower steps are newer; see the situations
            continue
        newest = {}
        for row in run.rows:
            for key in set(KEYS) & set(row):  # of one step the later call counts
                age = (row.get(AXIS, row["_step"]), row[key])
                newest[key] = max(newest.get(key, age), age, key=lambda a: (a[0], number_of(a[1])))
        newest = {key: value for key, (_, value) in newest.items()}
        plain = {k: v for k, v in newest.items() if not isinstance(v, Media)}
        assert {k: run.summary.values[k] for k in plain} == plain


@times(4)
@given(training=trainings)
def test_conflicts_are_the_calls_that_wandb_would_drop(training):
    run_class, step_fix = repaired()
    _, sent = train(run_class, step_fix, training)
    natives, _ = train(native_model.Run, None, training)
    assert step_fix.counts()["conflicts"] == sum(len(native.dropped) for native in natives)
    assert step_fix.counts()["logs"] == sum(map(len, sent))


@times(4)
@given(training=trainings)
def test_rows_in_order_are_what_wandb_would_have(training):
    natives, _ = train(native_model.Run, None, training)
    run_class, step_fix = repaired()
    runs, _ = train(run_class, step_fix, training)
    for run, native in zip(runs, natives, strict=True):
        if not native.dropped:
            assert [{k: v for k, v in row.items() if k != AXIS} for row in run.rows] == native.rows
            assert run.summary.values == native.summary.values


@pytest.mark.parametrize(
    "bad",
    [({1: 2}, None), ("text", None), (None, 3), ({"a": Unserializable(1)}, 3),
     ({"a": Unserializable(1)}, 1), ({"a": 1}, "x"), ({"a": 1}, [])],
)  # fmt: skip
def test_errors_are_wandbs_own_and_harm_nothing(bad):
    run_class, _ = repaired()
    run, native = run_class(), native_model.Run()
    for log in ({"a": 1}, 4), ({"a": 2}, 2), bad, ({"a": 3}, 3):
        if log is bad:
            with pytest.raises(Exception) as ours:
                run.log(*log)
            with pytest.raises(ours.type, match=str(ours.value)):
                native.log(*log)
        else:
            run.log(*log)
    run.finish()
    assert values_of(user_rows(run)) == Counter([1, 2, 3])


def test_a_resumed_run_takes_the_steps_before_its_checkpoint():
    run = repaired()[0]()
    run._step = run._core_step = 100  # as wandb sets it from the server
    for step in range(90, 110):
        run.log({"a": step}, step)
    run.finish()
    assert {row[AXIS]: row["a"] for row in run.rows} == {step: step for step in range(90, 110)}


@times(2)
@given(training=trainings)
def test_a_summary_of_the_users_choice_is_left_alone(training):
    run = repaired()[0]()
    run.define_metric("a", summary="min")
    for number, event in enumerate(training):
        if isinstance(event, Log):
            run.log({"a": 100 - number}, event.step, event.commit)
    run.finish()
    values = [row["a"] for row in run.rows if "a" in row]
    assert run.summary.values.get("a") == min(values, default=None)


def test_threads_that_log_to_one_run_leave_their_newest_values_in_the_summary():
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    run = repaired()[0]()
    with ThreadPoolExecutor(3) as threads:
        for key in KEYS:
            threads.submit(lambda key=key: [run.log({key: i}, i) for i in range(300)])
    sys.setswitchinterval(interval)
    run.finish()
    assert {key: run.summary.values[key] for key in KEYS} == dict.fromkeys(KEYS, 299)
