# SPDX-License-Identifier: Apache-2.0
"""What must hold on every Python and every wandb, seen from a real training process."""

import pytest

from support import matrix, training

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
    assert mixed.outcome["declined"].keys() <= {"watch"}  # 0.12.0 has nothing else for it
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


CALLS = """
    import inspect, re, wandb
    from wandb.sdk.lib import module
    from wandb.sdk.wandb_run import Run
    print(inspect.signature(module.set_global), type(Run.step), Run.step.__doc__)
    for name, method in sorted(vars(Run).items()):
        if inspect.isfunction(method):
            signature = re.sub("0x[0-9a-f]+", "", str(inspect.signature(method)))
            print(name, method.__qualname__, signature, method.__doc__)
    def attempt(function, *args, **kwargs):
        try:
            print(function(*args, **kwargs) is None)
        except Exception as error:
            print(type(error).__name__, error)
    run = wandb.init(project="p")
    attempt(run.log)
    attempt(run.log, {"a": 1}, unknown=1)
    attempt(run._log if hasattr(run, "_log") else run.log, {"a": 1}, unknown=1)
    attempt(run.log, {"a": 1}, 1, True, None, None, None)
    attempt(run.log, {"a": 1}, data={"a": 1})
    attempt(run.log, commit=True, data={"b": 2}, step=3)
    attempt(run.log, {"c": 3}, 4, False)
    attempt(run.define_metric)
    attempt(run.define_metric, "a", unknown=1)
    attempt(run.define_metric, step_metric="b", name="c")
    attempt(run.summary.update, {"d": 4})
    attempt(run.finish, 1, 2, 3, 4)
    attempt(run.finish, exit_code=0)
"""


@pytest.mark.parametrize(
    "cell",
    [matrix.EVERYDAY, pytest.param(matrix.MATRIX[1], marks=pytest.mark.exhaustive)],
    indirect=True,
    ids=lambda cell: cell.name,
)
def test_wandbs_methods_look_and_refuse_as_before(tmp_path, cell):
    off = {"PRIMUS_LENS_WANDB_HOOK": "off"}
    hooked = training.run(tmp_path / "hooked", CALLS, python=cell)
    native = training.run(tmp_path / "native", CALLS, python=cell, env=off)
    assert hooked.stdout == native.stdout
    assert native.stdout.count("unexpected keyword argument 'unknown'") >= 2
    assert [line["step"] for line in hooked.lines] == [3, 4]
