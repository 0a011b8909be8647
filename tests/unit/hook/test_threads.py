# SPDX-License-Identifier: Apache-2.0
"""Threads that log, define, flush and finish at once: as if one had come after the other.

Each pair is tried with the second at every bytecode of the first (`interleaving`).
"""

import json
import types
from collections import Counter
from pathlib import Path

import pytest
from primus_lens_hook import bypass, patch, warn_once
from primus_lens_hook.recording.recorder import Recorder
from primus_lens_hook.settings import Settings
from primus_lens_hook.step_fix.manager import ATTRIBUTE
from primus_lens_hook.system.sampler import Sampler

from support import native_model
from support.interleaving import at_once, one_after_another, outcomes
from support.repaired import overdue, repaired, user_rows


class World:
    """A run of the model with the hook in it, in which something has happened already."""

    def __init__(self, before=(), output=None):
        self.recorder = Recorder(Settings(output_path=output))
        self.run_class, self.step_fix = repaired(self.recorder)
        self.run = self.run_class()
        for event in before:
            event(self)

    def steps(self):
        """What the step fix knows, and what W&B has."""
        guard = vars(self.run)[ATTRIBUTE]
        run, steps = guard.context, guard.context.steps
        state = (
            guard.is_plain,
            run.tracks_calls,
            run.limits,
            run.definitions.axes,
            run.counts.logs,
        )
        self.step_fix.flush()
        rows = sorted(map(repr, user_rows(self.run)))
        shown = self.run.summary.values.get("a"), self.run.summary.values.get("b")
        return repr((state, steps.newest, steps.rewinds, steps.given, rows, shown))

    def unfinished(self):
        journal = self.recorder._journal
        if journal is None:
            return ()
        journal.abandon()  # thousands of worlds, and each has a file open
        return tuple(journal.unfinished)


def log(step, key="a"):
    return lambda world: world.run.log({key: step or 0}, step)


def step_fix(method, *arguments, **named):
    return lambda world: getattr(world.step_fix, method)(*arguments, **named)


def finish(world):
    world.run._is_finished = True
    world.recorder.finished(world.run)


def ranked(world):
    with world.step_fix.priority(0):
        pass


BEGUN = (log(1),)
REWOUND = (log(10), log(3))  # the training has perhaps gone back to 3
OFF = step_fix("disable")
STEPS = {
    "rows": (BEGUN, log(2), log(2, "b")),
    "rows without a step": (BEGUN, log(None), log(None, "b")),
    "the first rows": ((), log(1), log(1, "b")),
    "a rewind and a row": (REWOUND, log(5), log(20)),
    "a rewind and a row, switched off": ((*REWOUND, OFF), log(5), log(20)),
    "a training step and a row": (BEGUN, step_fix("set_training_step", 3), log(7)),
    "a training step and a rewind": (REWOUND, step_fix("set_training_step", 2), log(5)),
    "the first row and a training step": ((), log(1), step_fix("set_training_step", 9)),
    "the first row and the switch": ((), log(1), OFF),
    "the first row and bounds": ((), log(1), step_fix("limit", buffer_size=5)),
    "the first row and a priority": ((), log(1), ranked),
    "a row and a priority": (BEGUN, log(2), ranked),
    "a row and a definition": (BEGUN, log(2), lambda w: w.run.define_metric("a", step_metric="b")),
    "a row and the summary": (BEGUN, log(2), lambda w: w.run.summary.update({"a": 9})),
    "the timer and a late row": (REWOUND, overdue_rows := lambda w: overdue(w.step_fix), log(4)),
    "the timer and a flush": (REWOUND, overdue_rows, step_fix("flush")),
    "the switch and a row": (BEGUN, OFF, log(0)),
    "switched on again and a row": ((*BEGUN, OFF), step_fix("enable"), log(None)),
}
ENDS = {
    "a row and the end": (BEGUN, log(2), finish),
    "the first row and the end": ((), log(1), finish),
    "a text and the end": (BEGUN, lambda w: w.run.log({"a": "text"}), finish),
}


def quick(pairs, *names):
    """The names of all pairs; those that are long are left to `make test-all`."""
    marks = [() if name in names else pytest.mark.exhaustive for name in pairs]
    return [pytest.param(name, marks=mark) for name, mark in zip(pairs, marks, strict=True)]


@pytest.mark.parametrize(
    "pair",
    quick(
        STEPS,
        "rows",
        "a training step and a rewind",
        "a rewind and a row, switched off",
        "a row and a priority",
        "switched on again and a row",
    ),
)
def test_steps(pair, capsys):
    before, act, other = STEPS[pair]
    these = (lambda: World(before)), act, other, World.steps
    assert set(outcomes(*these)) <= set(one_after_another(*these))
    assert capsys.readouterr().err == ""


@pytest.mark.exhaustive
@pytest.mark.parametrize("pair", ENDS)
def test_the_end(pair, tmp_path, capsys):
    before, act, other = ENDS[pair]
    numbers = iter(range(100_000))
    these = (lambda: World(before, f"{tmp_path}/{next(numbers)}")), act, other, World.unfinished
    assert set(outcomes(*these)) <= set(one_after_another(*these))
    assert capsys.readouterr().err == ""


def test_many_at_once(tmp_path, capsys):
    """Whatever else goes on, each call is a record, and each value is in W&B."""
    world = World(output=str(tmp_path))
    others = [step_fix("flush"), ranked, step_fix("limit", buffer_size=3),
              lambda w: w.run.define_metric("a*"), lambda w: overdue(w.step_fix)]  # fmt: skip

    def train(number):
        for step in range(50):
            world.run.log({f"k{number}": step}, step if number % 2 else None)
            others[(number + step) % len(others)](world)

    at_once(train, range(8))
    world.step_fix.flush()
    (file,) = tmp_path.rglob("wandb_metrics.jsonl")
    lines = [json.loads(line)["data"] for line in file.read_text().splitlines()]
    sent = Counter((f"k{number}", step) for number in range(8) for step in range(50))
    for rows in (lines, world.run.rows):
        assert Counter(item for row in rows for item in row.items() if item in sent) == sent
    assert world.step_fix.counts()["logs"] == len(lines) == 400
    assert capsys.readouterr().err == ""


class Disabled:
    """A disabled run, which wandb gives a `log` of its own."""

    def __init__(self, output):
        self.recorder = recorder = Recorder(Settings(output_path=output))
        run = types.SimpleNamespace(id="r")
        self.log = bypass._recording_disabled(run, lambda data, step=None: None, recorder)
        self.output = Path(output)
        for step in (10, 3):
            self.log({"a": step}, step)

    def step(self):
        """Where a row without a step belongs."""
        self.log({"b": 1})
        self.recorder._journal.abandon()
        (file,) = self.output.rglob("wandb_metrics.jsonl")
        return json.loads(file.read_text().splitlines()[-1])["step"]


@pytest.mark.exhaustive
def test_a_disabled_run(tmp_path):
    numbers = iter(range(100_000))
    these = (
        lambda: Disabled(f"{tmp_path}/{next(numbers)}"),
        lambda run: run.log({"a": 1}, 5),
        lambda run: run.log({"a": 1}, 20),
        Disabled.step,
    )
    assert set(outcomes(*these)) <= set(one_after_another(*these))


def test_what_the_sampler_has_reported_does_not_change():
    reports = []
    sampler = Sampler(lambda *_: None, {}, reports.append)
    sampler._report_sources([])
    sampler._note("nvidia", ValueError("gone"))
    assert reports == [{"system": [], "system_faults": {}}]


def test_a_warning_is_printed_once(monkeypatch, capsys):
    def forget():
        monkeypatch.setattr(warn_once, "_said", {})
        capsys.readouterr()

    def warn(_):
        warn_once.warn_once("kind", "text")

    assert set(outcomes(forget, warn, warn, lambda _: capsys.readouterr().err)) == {
        "primus-lens: text\n"
    }


@pytest.mark.exhaustive
def test_wandb_is_patched_once():
    def depth(world):
        function, count = world.module.Run._log, 0
        while hasattr(function, "primus_lens_native"):
            function, count = function.primus_lens_native, count + 1
        return count

    def make():
        world = World()
        world.module = types.SimpleNamespace(Run=type("Run", (native_model.Run,), {}))
        return world

    def apply(world):
        patch.apply(world.module, patch.Hook(world.recorder, world.step_fix))

    assert set(outcomes(make, apply, apply, depth)) == {1}


def test_there_is_one_hook():
    made = []

    def make(_):
        made.append(patch.the_hook())

    def forget():
        patch._made.clear()
        made.clear()

    assert set(outcomes(forget, make, make, lambda _: made[0] is made[1])) == {True}
