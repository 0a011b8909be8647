# SPDX-License-Identifier: Apache-2.0
"""What a process or a run has one of, where a signal handler uses it while it is being made."""

import json
import sys
import time
import types

from primus_lens_hook import patch
from primus_lens_hook.recording import journal, recorder
from primus_lens_hook.recording.recorder import Recorder
from primus_lens_hook.settings import Settings
from primus_lens_hook.step_fix import manager
from primus_lens_hook.step_fix.limits import Limits
from primus_lens_hook.step_fix.manager import StepFix
from primus_lens_hook.system import sampler
from primus_lens_hook.tensorboard import sync
from primus_lens_hook.tensorboard.sync import TensorBoard

from support.interrupted import at_each
from support.native_model import Run
from support.repaired import repaired, user_rows

RUN = types.SimpleNamespace(id="r")


def test_one_file(tmp_path):
    recorders = [Recorder(Settings(output_path=f"{tmp_path}/{number}")) for number in range(1000)]
    write = [lambda number, key=key: recorders[number].record(RUN, {key: 1}, 1) for key in "ab"]
    for number in at_each(write[0], recorder, journal, handler=write[1]):
        recorders[number].exiting()
        rank = tmp_path / str(number) / "node_0" / "rank_0"
        lines = (rank / "wandb_metrics.jsonl").read_text().splitlines()
        assert {key for line in lines for key in json.loads(line)["data"]} >= {"a", "b"}, number
        runs = json.loads((rank / "wandb_runs.json").read_text())
        assert len(list(rank.iterdir())) == 2, number
        assert runs["r"]["finish"], number
    assert number > 100


def test_one_step_fix_of_a_run():
    worlds = [(made[0](), made[1]) for made in (repaired() for _ in range(1000))]
    log = [lambda number, key=key: worlds[number][0].log({key: 1}, 1) for key in "ab"]
    for number in at_each(log[0], manager, handler=log[1]):
        run, step_fix = worlds[number]
        assert (len(step_fix._runs), step_fix.counts()["logs"]) == (1, 2), number
        step_fix.exiting()
        run.finish()
        assert user_rows(run) == [{"a": 1, "b": 1}], number
    assert number > 50


def test_one_hook():
    def handler(number):
        given.append(patch.the_hook())

    given = []
    for number in at_each(lambda number: given.append(patch.the_hook()), patch, handler=handler):
        assert len(set(map(id, given))) == 1, number
        given.clear()
        patch._made.clear()
    assert number > 10


def test_one_list_of_what_tensorboard_writes():
    runs = [Run() for _ in range(1000)]
    boards = [TensorBoard(Recorder(Settings()), lambda _run: None) for _ in runs]
    read = [lambda number, path=path: boards[number].announce(runs[number], path) for path in "ab"]
    for number in at_each(read[0], sync, handler=read[1]):
        one, other = boards[number]._directories.values()
        assert one.synced is other.synced, number
    assert number > 30


def running(method):
    """How many threads are in a method of this object."""
    return sum(is_in(frame, method) for frame in sys._current_frames().values())


def is_in(frame, method):
    while frame is not None:
        if frame.f_code is method.__code__ and frame.f_locals["self"] is method.__self__:
            return True
        frame = frame.f_back
    return False


def comes_to(count, method):
    """Whether so many threads are in a method, soon."""
    end = time.monotonic() + 5
    while running(method) != count and time.monotonic() < end:
        time.sleep(0.001)
    return running(method) == count


def test_one_sampler(monkeypatch):
    monkeypatch.setattr(sampler, "INTERVAL", 0.001)
    monkeypatch.setattr(sampler, "SOURCES", ())
    samplers = [sampler.Sampler(lambda *_: None, {}, lambda _: None) for _ in range(1000)]

    def start(number):
        samplers[number].start()

    for number in at_each(start, sampler, handler=start):
        assert comes_to(1, samplers[number]._run), number
        samplers[number].stop()
        assert comes_to(0, samplers[number]._run), number
    assert number > 20


def test_one_timer():
    fixes = [StepFix(Limits(flush_interval=0.001), {}, {}) for _ in range(1000)]

    def start(number):
        fixes[number]._start_timer()

    for number in at_each(start, manager, handler=start):
        assert comes_to(1, fixes[number]._flush_overdue), number
        fixes[number]._timer_ends.set()
        assert comes_to(0, fixes[number]._flush_overdue), number
    assert number > 10
