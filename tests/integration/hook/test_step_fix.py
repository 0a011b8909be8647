# SPDX-License-Identifier: Apache-2.0
"""The step fix in real trainings: what W&B's own file has in the end."""

import textwrap

import pytest

from support import patterns, training
from support.wandb_file import axes, rows, summary

NO_FIX = {"WANDB_STEP_FIX_ENABLED": "false"}
KEEP = {"WANDB_STEP_FIX_DUPLICATES": "keep"}
AXIS = "primus_lens/step"


def trained(done):
    assert done.status == 0, done.stderr
    assert done.complaints == []
    return done


def test_nothing_is_lost_in_any_pattern(tmp_path, cell):
    env = {**KEEP, **training.QUICK}
    done = trained(training.run(tmp_path, patterns.together(), python=cell, env=env))
    assert patterns.lost(done) == []
    assert len(done.lines) == len(patterns.sent(done))
    for records in done.wandb:
        natives = [row["_step"] for row in rows(records)]
        assert natives == sorted(set(natives))


@pytest.mark.exhaustive
@pytest.mark.parametrize("pattern", ["callback one step late", "two counters"])
def test_wandb_alone_loses_what_the_counters_say(tmp_path, pattern):
    script = patterns.script(patterns.PATTERNS[pattern])
    native = trained(training.run(tmp_path / "native", script, env=NO_FIX))
    repaired = trained(training.run(tmp_path / "repaired", script))
    (counts,) = (run["step_fix"] for run in repaired.runs.values())
    lost = set(patterns.lost(native))
    calls = [data for data, _ in patterns.sent(native) if lost & set(patterns.values([data]))]
    assert counts["conflicts"] == len(calls) > 0
    assert counts["logs"] == len(patterns.sent(repaired))
    assert counts["dropped"] == 0


LATE = """
    import os, signal, sys, threading, time, wandb
    run = wandb.init(project="p")
    for i in range(30):
        wandb.log({"loss": i}, step=i)
        if i:
            wandb.log({"late": i - 1}, step=i - 1)
    wandb.log({"last": 1}, step=50)
"""
WAYS_OUT = {
    "end": "",
    "finish": "wandb.finish()",
    "exception": "raise RuntimeError",
    "sys.exit": "sys.exit(3)",
    "another run": "wandb.init(project='p', reinit=True)",
    "another run beside": "other = wandb.init(project='p', reinit='create_new')",
    "teardown by finish of each": "run.finish(); wandb.init(project='p').finish()",
    "thread": "t = threading.Thread(target=lambda: (time.sleep(.1), run.log({'t': 1}, step=2)));"
    " t.start()",
}


@pytest.mark.exhaustive
@pytest.mark.parametrize("way", WAYS_OUT)
def test_nothing_is_held_back_at_the_end(train, way):
    done = train(textwrap.dedent(LATE) + WAYS_OUT[way])
    rows = [row for row in done.rows if len(row) > 2]
    assert sorted(row["loss"] for row in rows if "loss" in row) == list(range(30))
    assert sorted(row["late"] for row in rows if "late" in row) == list(range(29))
    assert [row[AXIS] for row in rows if "last" in row] == [50]
    assert sum("t" in row for row in rows) == (way == "thread")


def test_nothing_is_held_back_at_the_end_of_any_wandb(tmp_path, cell):
    done = trained(training.run(tmp_path, LATE, python=cell))
    assert sorted(row["late"] for row in done.rows if "late" in row) == list(range(29))


@pytest.mark.exhaustive
def test_a_row_waits_two_seconds_at_most(train):
    wait = "print(run._local_step); time.sleep(2.5); print(run._local_step)"
    before, after = train(textwrap.dedent(LATE) + wait).stdout.split()
    assert int(before) < int(after) == 50


MANY = 1500  # rows: wandb's core writes its file in blocks of 32 KiB


@pytest.mark.exhaustive
@pytest.mark.parametrize(
    "pattern", ["callback one step late", "no step mixed with steps", "rewind to a checkpoint"]
)
def test_sigkill_leaves_no_less_than_wandb_alone(tmp_path, pattern):
    script = patterns.script(patterns.PATTERNS[pattern], patterns.KILLED, MANY)
    native = training.run(tmp_path / "native", script, env=NO_FIX, linger=1)
    repaired = training.run(tmp_path / "repaired", script, linger=1)
    assert len(repaired.values) >= len(native.values) > 0
    assert len(repaired.lines) == len(patterns.sent(repaired))


def test_forked_children_and_their_parent(train):
    done = trained(
        train("""
            import os, wandb
            run = wandb.init(project="p")
            def work(who):
                for i in range(20):
                    run.log({f"w{who}": i}, step=i)
            run.log({"first": 1}, step=3)
            for child in range(3):
                if not os.fork():
                    try:
                        work(child)
                    finally:
                        os._exit(0)
            [os.wait() for _ in range(3)]
            work(3)
            wandb.finish()
        """)
    )
    for who in range(4):
        column = {row[AXIS]: row[f"w{who}"] for row in done.rows if f"w{who}" in row}
        assert column == {i: i for i in range(20)}
    assert sum("first" in row for row in done.rows) == 1


def test_rows_that_wait_while_a_child_logs(train):
    done = trained(
        train("""
            import os, wandb
            run = wandb.init(project="p")
            for step in (*range(20), *range(20), 20):
                run.log({"a": 1, f"s{step}": step}, step=step)
            if not os.fork():
                [run.log({"child": 1}) for _ in range(30)]
                os._exit(0)
            os.wait()
            wandb.finish()
        """)
    )
    assert [row["s20"] for row in done.rows if "s20" in row] == [20]
    assert sum("child" in row for row in done.rows) == 30


def test_the_users_axes_summary_and_media_stay_theirs(train):
    done = trained(
        train("""
            import wandb
            run = wandb.init(project="p")
            run.define_metric("eval/*", step_metric="epoch")
            run.define_metric("best", summary="max")
            for i in range(20):
                run.log({"loss": i, "best": i}, step=i)
                run.summary["mine"] = i
                if i % 5 == 4:
                    run.log({"eval/acc": i, "epoch": i // 5, "best": -i}, step=i - 3)
                    run.log({"hist": wandb.Histogram([i])}, step=i)
                    run._log({"gradients/w": wandb.Histogram([i])}, commit=False)  # as watch does
            run.log({"last": 1}, step=30)  # or the row of step 19 would still be open
            run.summary["loss"] = 1000
            wandb.finish()
        """)
    )
    (records,) = done.wandb
    kept = summary(records)
    assert sorted(row["eval/acc"] for row in done.rows if "eval/acc" in row) == [4, 9, 14, 19]
    for key in "hist._type", "gradients/w._type":
        assert sum(key in row for row in done.rows) == 4
    assert kept["best"] == {"max": 19}
    assert (kept["loss"], kept["mine"], kept["eval/acc"]) == (1000, 19, 19)
    assert axes(records)["eval/*"] == "epoch"
    assert "eval/acc" not in axes(records)


def test_tensorboards_mirror_is_left_to_wandb(train):
    done = trained(
        train("""
            import wandb
            run = wandb.init(project="p")
            wandb.patched["tensorboard"].append(["module", "name"])
            for i in range(3):
                run._log({"global_step": i, "loss": i}, commit=False)
                run._log({})
            wandb.log({"mine": 1}, step=1)
            wandb.finish()
        """)
    )
    assert [row["loss"] for row in done.rows if "loss" in row] == [0, 1, 2]
    assert not any(AXIS in row for row in done.rows)


def test_switched_off_it_is_wandb_alone(tmp_path):
    script = patterns.script(patterns.PATTERNS["callback one step late"])
    bare = {"PRIMUS_LENS_WANDB_HOOK": "false"}
    off = training.run(tmp_path / "off", script, env=NO_FIX)
    assert off.rows == training.run(tmp_path / "bare", script, env=bare).rows


@pytest.mark.exhaustive
def test_a_signal_handler_that_logs(train):
    done = trained(
        train(
            """
            import signal, time, wandb
            run, seen = wandb.init(project="p"), []
            def handler(*_):
                seen.append(len(seen))
                run.log({"seen": seen[-1]}, step=0)
            signal.signal(signal.SIGALRM, handler)
            signal.setitimer(signal.ITIMER_REAL, 0.01, 0.01)
            for i in range(3000):
                run.log({"loss": i}, step=i)
            signal.setitimer(signal.ITIMER_REAL, 0)
            wandb.finish()
            print(len(seen))
            """,
            env=KEEP,
        )
    )
    seen = int(done.stdout)
    assert sorted(row["seen"] for row in done.rows if "seen" in row) == list(range(seen))
    assert sum("loss" in row for row in done.rows) == 3000


AFTER_THE_END = """
    import atexit, wandb

    def last():  # registered before wandb's own handler, so it comes behind that
        for how in {}, {"step": 1}:
            try:
                run.log({"n": 1, "m": 2}, **how)
            except Exception as error:
                print(type(error).__name__)

    atexit.register(last)
    run = wandb.init(project="p")
    for step in 5, 4, 6:  # the second one is late: from here on rows wait
        run.log({"n": step}, step=step)
"""


def test_calls_behind_wandbs_own_end_raise_what_they_raise_natively(tmp_path):
    native = training.run(tmp_path / "native", AFTER_THE_END, env=NO_FIX)
    hooked = training.run(tmp_path / "hooked", AFTER_THE_END)
    assert native.stdout
    assert hooked.stdout == native.stdout
