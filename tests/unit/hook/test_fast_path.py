# SPDX-License-Identifier: Apache-2.0
"""The fast path of a log call: whatever a training logs, nobody can tell that it was taken."""

import json
import sys
import tempfile
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from primus_lens_hook import patch, warn_once
from primus_lens_hook.recording import scalars, writer
from primus_lens_hook.recording.recorder import Recorder
from primus_lens_hook.settings import Settings
from primus_lens_hook.step_fix.manager import ATTRIBUTE

from support.examples import times
from support.native_model import Unserializable
from support.repaired import overdue, repaired

# Rows in order mostly, and now and then what the fast path has to leave alone.
KEYS = ("a", "b", "100%")
many = st.integers().map(lambda n: n**99) | st.floats()
numbers = st.integers(-3, 3) | st.floats(width=16)
odd = st.sampled_from([True, None, "text", 10**400, -(10**305), {"n": 1}, Unserializable(1)])
rows = st.builds(dict.fromkeys, st.sampled_from([KEYS[:1], KEYS]), numbers)
odd_rows = st.dictionaries(st.sampled_from(["a", "b", "global_step"]), numbers | odd, max_size=2)
commits = st.sampled_from([None, None, True, False])
in_order = st.tuples(st.just("log"), rows, st.sampled_from([None, "next"]), st.none())
any_log = st.tuples(st.just("log"), rows | odd_rows, st.integers(0, 20) | st.just(True), commits)
without_step = st.tuples(st.just("log"), rows | odd_rows, st.none(), commits)
others = st.sampled_from(
    [("flush",), ("overdue",), ("disable",), ("enable",), ("training_step", 5), ("rank",),
     ("define", "a", "b"), ("define", "*", "mine"), ("write", "a", 9), ("mirror",), ("fork",),
     ("pickle",), ("fault",)]
)  # fmt: skip
WEIGHTS = {in_order: 8, any_log: 2, without_step: 2, others: 1}
EVENTS = [each for each, weight in WEIGHTS.items() for _ in range(weight)]
trainings = st.lists(st.one_of(EVENTS), min_size=12, max_size=30)


def train(training, is_shared, output):
    """What can be seen of it: answers, rows, the summary, the counts and the records."""
    recorder = Recorder(Settings(output_path=output))
    run_class, step_fix = repaired(recorder, mark={"mark": True})
    run, seen = run_class(), []
    run._settings = SimpleNamespace(_shared=is_shared)
    sys.modules["wandb"].patched = {"tensorboard": []}  # that of the last one may be mirrored
    for number, event in enumerate(training):
        try:
            seen.append(act(run, step_fix, number, *event))
        except (TypeError, ValueError) as error:
            seen.append(repr(error))
        seen.append(list(run.rows))
    run.finish()
    close(recorder)
    return seen, run.rows, run.summary.values, step_fix.counts(), records(output)


def close(recorder):
    if recorder._journal is not None:
        recorder._journal.abandon()


def act(run, step_fix, number, what, *arguments):
    guard = step_fix.of(run)
    acts = {
        "log": lambda row, step, commit: run.log(row, number if step == "next" else step, commit),
        "define": lambda name, axis: run.define_metric(name, step_metric=axis),
        "write": lambda key, value: run.summary.update({key: value}),
        "flush": step_fix.flush,
        "overdue": lambda: overdue(step_fix),
        "disable": step_fix.disable,
        "enable": step_fix.enable,
        "training_step": step_fix.set_training_step,
        "rank": lambda: log_ranked(run, step_fix, number),
        "pickle": lambda: guard and guard.share(),
        "fork": lambda: guard and guard.after_fork(),
        "fault": lambda: guard and guard.give_up(ValueError("a fault")),
        "mirror": lambda: guard and guard.context.wandb.patched.update(tensorboard=[1]),
    }
    return acts[what](*arguments)


def log_ranked(run, step_fix, number):
    with step_fix.priority(1):
        run.log({"a": number}, number)


def lines_of(output):
    texts = [path.read_text() for path in Path(output).rglob("*.jsonl")]
    return [line for text in texts for line in text.split("\n")[:-1]]


def records(output):
    return [json.loads(line) for line in lines_of(output)]


@times(50)
@given(training=trainings, is_shared=st.sampled_from([False] * 9 + [True]))
def test_nobody_can_tell_that_it_was_taken(training, is_shared):
    ways = []
    for with_fast_path in (patch.with_fast_path, lambda any_call, *_: any_call):
        with tempfile.TemporaryDirectory() as output, pytest.MonkeyPatch.context() as patched:
            patched.setattr(patch, "with_fast_path", with_fast_path)
            patched.setattr(time, "time", lambda: 1.5)
            patched.setattr(warn_once, "_said", {"steps": None})
            ways.append(repr(train(training, is_shared, output)))
    assert ways[0] == ways[1]


@given(data=st.dictionaries(st.text(max_size=3), many, min_size=1))
@example(data={"a": 10**305, "b": -(10**305)})
def test_a_row_of_numbers_is_printed_as_any_row(data):
    run, keys = SimpleNamespace(_run_id="r"), tuple(data)
    with tempfile.TemporaryDirectory() as output, pytest.MonkeyPatch.context() as patched:
        patched.setattr(time, "time", lambda: 1.5)
        recorder = Recorder(Settings(output_path=output))
        recorder.record(run, data, 7)
        values, template = tuple(data.values()), scalars.template_of(keys, data)
        is_printed = recorder.record_numbers(run, values, 7, template)
        close(recorder)
        lines = [line.partition(',"seq":')[0] for line in lines_of(output)]
    assert lines == lines[:1] * (1 + is_printed)


def test_it_is_taken(monkeypatch, tmp_path):
    recorder = Recorder(Settings(output_path=str(tmp_path)))
    run = repaired(recorder)[0]()
    run.log({"a": 1, "b": 0.5})
    monkeypatch.setattr(scalars, "encode", None)  # what any other call would need
    for step in (None, None, 4, 5):
        run.log({"a": 2, "b": 0.5}, step)
    close(recorder)
    assert [record["data"]["a"] for record in records(tmp_path)] == [1, 2, 2, 2, 2]


def test_a_run_whose_first_line_was_lost_is_known_by_a_later_one(monkeypatch, tmp_path):
    monkeypatch.setattr(writer, "FIRST_PAUSE", 0)
    recorder = Recorder(Settings(output_path=str(tmp_path / "node")))
    (tmp_path / "node").write_text("where the directory should be")
    run = repaired(recorder)[0]()
    run.log({"a": 1})
    (tmp_path / "node").unlink()
    run.log({"a": 1})
    close(recorder)
    assert [path.name for path in tmp_path.rglob("wandb_runs.json")]


def test_a_signal_handler_that_logs_while_the_counter_is_read():
    run = repaired()[0]()
    run.log({"a": 1}, 1)
    wandb = vars(run)[ATTRIBUTE].context.wandb
    read_step = wandb.read_step

    def interrupted():
        wandb.read_step = read_step
        run.log({"a": 3}, 3)
        return read_step()

    wandb.read_step = interrupted
    run.log({"a": 2}, 2)
    run.finish()
    assert [row["a"] for row in run.rows] == [1, 2, 3]
