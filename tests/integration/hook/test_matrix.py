# SPDX-License-Identifier: Apache-2.0
"""What must hold on every Python and every wandb, seen from a real training process."""

import pytest

from support import training

MIXED = """
    import importlib.util
    importlib.util.find_spec("wandb")   # transformers does this before anybody imports it
    import numpy, wandb
    run = wandb.init(project="p", group="g", tags=["a"])
    wandb.log({"loss": 1.5, "deep": {"a": 1, "b": numpy.float32(2.5)}, "ok": True})
    wandb.log({"loss": float("nan"), "text": "x"}, 5, True)
    run.log({"media": wandb.Histogram([1, 2, 3])}, step=7)
    try:
        wandb.log({1: 2})
    except (TypeError, ValueError) as error:
        print(type(error).__name__, error)
    wandb.finish()
"""


@pytest.fixture
def mixed(tmp_path, cell):
    return training.run(tmp_path, MIXED, python=cell)


def test_each_call_is_a_line(mixed):
    assert mixed.status == 0, mixed.stderr
    assert mixed.data == [
        {"loss": 1.5, "deep.a": 1, "deep.b": 2.5, "ok": True},
        {"loss": "NaN", "text": "x"},
        {"media": {"_type": "histogram"}},
    ]
    assert [line["step"] for line in mixed.lines] == [0, 5, 7]
    assert mixed.complaints == []
    assert mixed.outcome["outcome"] == "patched"
    (run_id,) = {line["run"] for line in mixed.lines}
    known = mixed.runs[run_id]
    assert (known["project"], known["group"], known["tags"]) == ("p", "g", ["a"])
    assert known["exit_code"] == 0
    assert known["finish"] >= known["start"]
    assert mixed.outcome["wandb"] == known["wandb"]
    # and W&B has what it would have had, with its own error for its own reason
    assert next(row["loss"] for row in mixed.rows if "loss" in row) == 1.5
    assert "Key values passed to `wandb.log` must be strings" in mixed.stdout


def test_disabled_runs_are_recorded(tmp_path, cell):
    done = training.run(tmp_path, MIXED, python=cell, env={"WANDB_MODE": "disabled"})
    assert done.status == 0, done.stderr
    assert [line["step"] for line in done.lines] == [None, 5, 7]


def test_threads_and_forked_children_lose_nothing(tmp_path, cell):
    done = training.run(
        tmp_path,
        """
        import os, threading, wandb
        run = wandb.init(project="p")
        def work(who):
            for i in range(25):
                run.log({"who": who, "i": i})
        threads = [threading.Thread(target=work, args=(t,)) for t in range(4)]
        [t.start() for t in threads]; [t.join() for t in threads]
        children = []
        for child in range(4):
            pid = os.fork()
            if not pid:
                try:
                    work(10 + child)
                finally:
                    os._exit(0)
            children.append(pid)
        [os.waitpid(pid, 0) for pid in children]
        """,
        python=cell,
    )
    assert done.status == 0, done.stderr
    seen = sorted((line["data"]["who"], line["data"]["i"]) for line in done.lines)
    assert seen == [(who, i) for who in [0, 1, 2, 3, 10, 11, 12, 13] for i in range(25)]
    assert done.complaints == []
    assert all(run["finish"] for run in done.runs.values())  # nobody finished it, but it ended


def test_sigkill_loses_nothing(tmp_path, cell):
    done = training.run(
        tmp_path,
        """
        import os, signal, wandb
        wandb.init(project="p")
        for i in range(200):
            wandb.log({"i": i})
        os.kill(os.getpid(), signal.SIGKILL)
        """,
        python=cell,
    )
    assert done.status == -9
    assert [row["i"] for row in done.data] == list(range(200))
