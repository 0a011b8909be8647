# SPDX-License-Identifier: Apache-2.0
"""A fault of ours at any line of the step fix: nothing is lost, nothing is sent twice."""

import linecache
import sys
import types
from collections import Counter
from pathlib import Path

import pytest
from primus_lens_hook import fast_path, step_fix, warn_once
from primus_lens_hook.step_fix.manager import ATTRIBUTE

from support import native_model
from support.native_model import Media
from support.repaired import overdue, repaired, user_rows, values_of

OURS = str(Path(step_fix.__file__).parent), fast_path.__file__
# One of everything: in order, late, merged, parked, without a step, media, a gap, a definition.
CALLS = [
    ("a", 1, None), ("b", 1, None), ("a", 2, None), ("b", 1, None), ("c.d", None, None),
    ("a", 3, None), ("media", 3, None), ("c.d", 2, None), ("a", 9, None), ("b", 4, True),
    ("define", None, None), ("a", 12, None), ("summary", None, None), ("b", 11, None),
    ("overdue", None, None), ("c.d", 10, None), ("a", 13, None), ("flush", None, None),
    ("b", 8, None),
]  # fmt: skip


NEVER = 10**9


class Fault(Exception):
    pass


def is_active(run, step_fix):
    guard = vars(run).get(ATTRIBUTE)
    return step_fix._enabled and (guard is None or guard._active)


def train(run, step_fix, caught=()):
    """Returns the values sent until the fault, that of the call at fault being the last.

    Also how often one of `caught` came out of wandb's methods.
    """
    sent, raised = [], 0
    for number, (what, step, commit) in enumerate([*CALLS, ("finish", None, None)]):
        value = Media(number) if what == "media" else number
        if (what in "abc.d" or what == "media") and is_active(run, step_fix):
            sent.append(value)
        try:
            act(run, step_fix, what, value, step, commit)
        except caught:
            raised += 1
    return sent, raised


def act(run, step_fix, what, value, step, commit):
    if what == "define":
        run.define_metric("c.*", step_metric="mine")
    elif what == "summary":
        run.summary["a"] = 99
    elif what in ("flush", "overdue", "finish"):
        {"flush": step_fix.flush, "overdue": lambda: overdue(step_fix), "finish": run.finish}[
            what
        ]()
    else:
        run.log({"b" if what == "media" else what: value}, step, commit)


class Saboteur:
    """Raises at the n-th line that is executed in the step fix, once.

    What is raised is an error of the user's own code to the step fix.
    """

    def __init__(self, at):
        self.left = at
        self.where = None

    def __enter__(self):
        sys.settrace(self.call)
        return self

    def __exit__(self, *_):
        sys.settrace(None)

    def call(self, frame, _event, _):
        return self.line if frame.f_code.co_filename.startswith(OURS) else None

    def line(self, frame, event, _):
        if event == "line" and not self.where and can_fail(frame):
            self.left -= 1
            if self.left < 0:
                self.in_run = is_in_run(frame)
                self.where = f"{frame.f_code.co_name}:{frame.f_lineno}"
                frame = self.shown(frame)
                raise Fault(self.where)
        return self.line

    def shown(self, _frame):
        """What of the frame is left to see: nothing, or it would be a tracing function's error."""


class OurFault(Saboteur):
    """Raises as if in one of our files."""

    line = types.FunctionType(
        Saboteur.line.__code__.replace(co_filename=fast_path.__file__), globals()
    )


class Tracing(Saboteur):
    """Raises as a tracing function does."""

    def shown(self, frame):
        return frame


def is_in_run(frame):
    while frame is not None and not frame.f_code.co_filename.endswith("step_fix/guard.py"):
        frame = frame.f_back
    return frame is not None and frame.f_code.co_name not in ("step_of", "takes_calls")


SOURCE = Path(fast_path.__file__).read_text()
IN_FAST_PATH = range(*(SOURCE[: SOURCE.index(end)].count("\n") + 2 for end in (" try:", " except")))
GUARD = ("try:", "except", "raise", "finally", "else:", "with self.lock", "self._guarded(",
         "return self._guarded(", "answer = self._guarded(", "return shown if", "for guard in",
         "guard.flush()", "guard.hand_back()", "if not self.serving")  # fmt: skip


def can_fail(frame):
    """Not the guard itself, nor lines that only lead to it."""
    is_fast = frame.f_code.co_filename == fast_path.__file__
    if is_fast and frame.f_lineno not in IN_FAST_PATH:
        return False
    line = linecache.getline(frame.f_code.co_filename, frame.f_lineno)
    return not line.strip().startswith(GUARD)


def lines():
    run_class, step_fix = repaired()
    with Saboteur(NEVER) as counting:
        train(run_class(), step_fix)
    return NEVER - counting.left


parts = pytest.mark.parametrize(
    "part", [0, *(pytest.param(part, marks=pytest.mark.exhaustive) for part in (1, 2, 3))]
)


@parts
@pytest.mark.parametrize("kind", [OurFault, Saboteur])
def test_a_fault_at_each_line(kind, part, monkeypatch):
    monkeypatch.setattr(warn_once, "_said", {"steps": None})
    for at in range(part, lines(), 4):
        run_class, step_fix = repaired()
        run = run_class()
        with kind(at) as saboteur:
            sent, _ = train(run, step_fix)
        assert is_active(run, step_fix) or kind is OurFault, saboteur.where
        has = values_of(user_rows(run))
        assert set(has.values()) <= {1}, (saboteur.where, has)
        lost = Counter(sent) - has
        # Before the call is the run's, a fault makes it wandb's, which may drop it.
        at_fault = sent[-1:] if kind is OurFault else sent
        assert not lost or (not saboteur.in_run and set(lost) <= set(at_fault)), saboteur.where


@parts
def test_what_a_tracing_function_raises_at_each_line(part):
    for at in range(part, lines(), 4):
        run_class, step_fix = repaired()
        run = run_class()
        with Tracing(at) as saboteur:
            sent, raised = train(run, step_fix, Fault)
        assert (raised, is_active(run, step_fix)) == (1, True), saboteur.where
        has = values_of(user_rows(run))
        assert set(has.values()) <= {1}, (saboteur.where, has)
        # That of the call, and one that the next `b` overwrites where the row between is missing.
        assert len(Counter(sent) - has) <= 1 + (2 not in has), saboteur.where


@pytest.mark.parametrize("way_out", ["finish", "define_metric", "flush", "unpatch", "summary"])
def test_a_wandb_that_is_gone_raises_nowhere_but_where_it_would(way_out):
    run_class, step_fix = repaired()
    run = run_class()
    for step in 5, 3, 9, 2:
        run.log({"a": step}, step)
    native = vars(run)["_primus_lens_steps"].context.wandb
    native.log = native._define = run.summary.update = gone
    ways = {
        "finish": run.finish,
        "define_metric": lambda: run.define_metric("b"),
        "flush": step_fix.flush,
        "unpatch": step_fix.disable,
        "summary": lambda: run._summary_update_callback(native_model.SummaryRecord()),
    }
    ways[way_out]()
    assert step_fix.counts()["dropped"] == 3


def gone(*_, **__):
    raise BrokenPipeError("wandb's service is gone")


def test_the_summary_shows_the_newest_values_after_giving_up():
    run_class, step_fix = repaired()
    run = run_class()
    for step in 5, 3:
        run.log({"a": step}, step)
    (guard,) = step_fix._runs
    guard.give_up(ValueError("a fault"))
    run.finish()
    assert (values_of(user_rows(run)), run.summary.values["a"]) == ({5: 1, 3: 1}, 5)
