# SPDX-License-Identifier: Apache-2.0
"""Every log call that returned is one line, however the process ends and wandb is used."""

import re

import pytest

from support import training
from support.sampling import rows

LOOP = """
    import atexit, os, signal, sys, wandb
    wandb.init(project="p")
    for i in range(100):
        wandb.log({"i": i})
"""
HUNDRED = list(range(100))


@pytest.mark.parametrize(
    ("ending", "status"),
    [
        ("os.kill(os.getpid(), signal.SIGTERM)", -15),
        ("os._exit(7)", 7),
        ("raise RuntimeError('the training failed')", 1),
        ("sys.exit(3)", 3),
        ("pass", 0),
    ],
)
def test_endings(train, ending, status):
    done = train(LOOP + "    " + ending)
    assert done.status == status
    assert [row["i"] for row in done.data] == HUNDRED


def test_exit_codes_are_noted(train):
    done = train(LOOP + "    sys.exit(3)")
    (known,) = done.runs.values()
    assert known["exit_code"] == 3
    assert known["finish"]


@pytest.mark.exhaustive
def test_runs_at_once_and_one_after_the_other(train):
    done = train("""
        import wandb
        a = wandb.init(project="a", reinit="create_new")
        b = wandb.init(project="b", reinit="create_new")
        for i in range(20):
            a.log({"a": i}); b.log({"b": i})
        a.finish(); b.finish()
        wandb.init(project="c")
        for i in range(20):
            wandb.log({"c": i})
        wandb.finish()
    """)
    by_run = {}
    for line in done.lines:
        by_run.setdefault(line["run"], []).append(line["data"])
    assert sorted(len(rows) for rows in by_run.values()) == [20, 20, 20]
    assert sorted(run["project"] for run in done.runs.values()) == ["a", "b", "c"]


@pytest.mark.exhaustive
@pytest.mark.parametrize("start", ["spawn", "forkserver", "fork"])
def test_multiprocessing_children(train, start):
    done = train(
        """
        import multiprocessing, os, sys
        def work(rank):
            os.environ["LOCAL_RANK"] = str(rank)
            import wandb
            wandb.init(project="p")
            for i in range(20):
                wandb.log({"rank": rank, "i": i})
            wandb.finish()
        if __name__ == "__main__":
            context = multiprocessing.get_context(sys.argv[1])
            workers = [context.Process(target=work, args=(rank,)) for rank in range(2)]
            [w.start() for w in workers]; [w.join() for w in workers]
    """,
        start,
    )
    assert done.status == 0, done.stderr
    expected = [{"rank": rank, "i": i} for rank in (0, 1) for i in range(20)]
    assert done.data == expected  # each in the directory of its own rank


@pytest.mark.exhaustive
@pytest.mark.parametrize(
    "before",
    [
        "from wandb import init; import wandb; init(project='p')",
        "import importlib, wandb; importlib.reload(wandb); wandb.init(project='p')",
        (
            "import sys, wandb\nfor m in [m for m in sys.modules if m.split('.')[0] == 'wandb']: "
            "del sys.modules[m]\nimport wandb; wandb.init(project='p')"
        ),
        (
            "import threading\nts = [threading.Thread(target=__import__, args=('wandb',)) for _ in "
            "range(8)]\n[t.start() for t in ts]; [t.join() for t in ts]\n"
            "import wandb; wandb.init(project='p')"
        ),
    ],
    ids=["from-import", "reload", "delete-and-reimport", "threads-at-once"],
)
def test_ways_to_import(train, before):
    done = train(before + "\nfor i in range(100): wandb.log({'i': i})\nwandb.finish()")
    assert done.status == 0, done.stderr
    assert [row["i"] for row in done.data] == HUNDRED


@pytest.mark.exhaustive
def test_wandb_imported_and_run_begun_before_the_hook(train):
    done = train(
        """
        import os, wandb
        wandb.init(project="p")
        wandb.log({"early": 1})
        from primus_lens_hook import boot
        os.environ["PRIMUS_LENS_WANDB_HOOK"] = "true"
        boot.start(); boot.start()
        wandb.log({"late": 1})
        wandb.run.log({"late": 2})
        wandb.finish()
    """,
        env={"PRIMUS_LENS_WANDB_HOOK": "false"},
    )
    assert done.status == 0, done.stderr
    assert done.data == [{"late": 1}, {"late": 2}]


@pytest.mark.exhaustive
def test_a_child_that_does_not_log_does_not_hold_the_file(train):
    done = train("""
        import os, wandb
        wandb.init(project="p")
        wandb.log({"i": 1})
        child = os.fork()
        if not child:
            held = [os.path.realpath(f"/proc/self/fd/{fd}") for fd in os.listdir("/proc/self/fd")]
            os._exit(any("wandb_metrics" in path for path in held))
        print(os.waitpid(child, 0)[1])
    """)
    assert done.stdout == "0\n"


@pytest.mark.exhaustive
def test_a_row_that_another_thread_goes_on_changing(train):
    done = train("""
        import threading, wandb
        wandb.init(project="p")
        row, done = {}, threading.Event()
        def change():
            i = 0
            while not done.is_set():
                i += 1
                row[f"k{i % 50}"] = i
                row.pop(f"k{(i * 7) % 50}", None)
        changing = threading.Thread(target=change)
        changing.start()
        returned = 0
        for i in range(1000):
            try:
                wandb.log(row)
                returned += 1
            except RuntimeError:  # wandb's own
                pass
        done.set()
        changing.join()
        print(returned)
    """)
    assert done.complaints == []
    assert len(done.lines) >= int(done.stdout)


@pytest.mark.exhaustive
def test_a_signal_handler_that_logs_within_the_first_call(train):
    done = train(
        """
        import signal, wandb
        from primus_lens_hook import identity
        run = wandb.init(project="p")
        signal.signal(signal.SIGUSR1, lambda *_: run.log({"handler": 1}))
        read = identity.read
        def interrupted(environ):       # the signal comes while the files are being opened
            identity.read = read
            signal.raise_signal(signal.SIGUSR1)
            return read(environ)
        identity.read = interrupted
        run.log({"i": 1})
        run.finish()
    """,
        timeout=60,
    )
    assert done.complaints == []
    assert sorted(str(row) for row in done.data) == ["{'handler': 1}", "{'i': 1}"]


@pytest.mark.exhaustive
def test_threads_that_log_first_share_one_file(train):
    done = train("""
        import threading, wandb
        run = wandb.init(project="p")
        together = threading.Barrier(8)
        def work(who):
            together.wait()
            run.log({"who": who})
        threads = [threading.Thread(target=work, args=(who,)) for who in range(8)]
        [t.start() for t in threads]; [t.join() for t in threads]
        run.finish()
    """)
    assert done.complaints == []
    assert len(list(done.output.rglob("*.jsonl"))) == 1
    assert sorted(row["who"] for row in done.data) == list(range(8))


def test_rows_in_order_reach_wandb_as_they_were(tmp_path):
    code = """
        import wandb
        wandb.init(project="p")
        for i in range(30):
            wandb.log({"loss": 1 / (i + 1), "deep": {"x": i}}, step=2 * i)
            wandb.log({"late": i}, commit=False)
        wandb.finish()
    """
    hooked = training.run(tmp_path / "hooked", code).rows
    native = training.run(tmp_path / "native", code, env={"PRIMUS_LENS_WANDB_HOOK": "0"}).rows
    assert [row.pop("primus_lens/step") for row in hooked] == [2 * i for i in range(30)]
    assert hooked == native


@pytest.mark.parametrize("step_fix", ["true", "false"])
def test_one_row_is_marked(train, step_fix):
    done = train(LOOP + "    wandb.finish()", env={"WANDB_STEP_FIX_ENABLED": step_fix})
    assert ["_primus_lens_enabled" in row for row in rows(done)] == [True] + [False] * 99


@pytest.mark.exhaustive
def test_the_mark_can_be_left_out(train, tmp_path):
    done = train(LOOP + "    wandb.finish()", env={"PRIMUS_LENS_WANDB_MARK_ROWS": "false"})
    (wandb_file,) = (tmp_path / "wandb").rglob("*.wandb")
    assert not re.search(rb"_primus_lens_enabled", wandb_file.read_bytes())
    assert all(line["data"]["_primus_lens_enabled"] is True for line in done.lines)


def test_a_training_gets_what_its_handler_raises_and_goes_on(train):
    done = train("""
        import signal, wandb
        class Preempted(Exception):
            pass
        def handler(*_):
            raise Preempted
        signal.signal(signal.SIGALRM, handler)
        run = wandb.init(project="p")
        class Rings(wandb.Histogram):       # the signal comes while wandb encodes it
            def to_json(self, *args, **kwargs):
                signal.raise_signal(signal.SIGALRM)
        caught = 0
        for step in range(1, 20):
            try:
                odd = {} if step % 5 else {"odd": Rings([1])}
                run.log({"loss": step, **odd}, step=step)
            except Preempted:
                caught += 1
            run.log({"late": step}, step=step - 1)
        run.finish()
        print(caught)
    """)
    assert (done.status, done.stdout, done.complaints) == (0, "3\n", [])
    assert sorted(row["late"] for row in done.rows if "late" in row) == list(range(1, 20))
