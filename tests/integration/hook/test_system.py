# SPDX-License-Identifier: Apache-2.0
"""Samples of the system: beside the log calls, never in their way."""

import shutil
from pathlib import Path

import primus_lens_hook
import psutil
import pytest
from primus_lens_hook import contract

from support import training
from support.sampling import FEW, ON, START, TRAIN, logs, rows, samples


@pytest.fixture
def sampled(train):
    """A training whose first and second call have samples between them."""
    done = train(TRAIN, env=ON)
    assert done.status == 0, done.stderr
    return done


def test_samples_stand_between_the_logs_of_a_stalled_job(sampled):
    kinds = [line.get("sample", False) for line in sampled.lines]
    assert kinds[0] is kinds[-1] is False
    assert sum(kinds) == len(kinds) - 2 >= 2
    (run,) = {line["run"] for line in sampled.lines}
    assert run in sampled.runs
    times = [line["timestamp"] for line in sampled.lines]
    assert times == sorted(times)


def test_a_sample_holds_what_the_contract_names(sampled):
    named = {contract.SAMPLE_PREFIX + name for name in contract.SAMPLE_OF_PROCESS}
    for line in samples(sampled):
        assert list(line) == ["timestamp", "step", "data", "run", "sample"]
        assert line["step"] is None
        assert named | FEW <= set(line["data"])
        assert all(0 <= line["data"][name] <= 100.0 for name in FEW)


@pytest.mark.parametrize("off", [[], ["WANDB_MARK_ROWS"], ["WANDB_STEP_FIX_ENABLED"]])
def test_rows_carry_a_few_values(train, off):
    names = {"WANDB_MARK_ROWS": contract.ENV_MARK_ROWS}
    done = train(TRAIN, env={**ON, **{names.get(name, name): "false" for name in off}})
    (_, record), (before, after) = logs(done), rows(done)
    assert set(after) & set(record["data"]) >= FEW
    assert not FEW & set(before)
    newest = samples(done)[-1]["data"]
    for name in FEW:
        assert record["data"][name] == newest[name]
        assert after[name] in [line["data"][name] for line in samples(done)]
    assert ("_primus_lens_enabled" in before) == (off != ["WANDB_MARK_ROWS"])


def test_samples_on_every_python_and_wandb(tmp_path, cell):
    done = training.run(tmp_path, TRAIN, python=cell, env=ON)
    assert done.status == 0, done.stderr
    assert done.complaints == []
    assert done.outcome["system"][0] in ("psutil", "proc")
    assert set(rows(done)[-1]) >= FEW
    assert samples(done)


def test_the_outcome_names_the_sources(sampled):
    assert sampled.outcome["outcome"] == "patched"
    assert sampled.outcome["system"][0] == "psutil"
    assert sampled.outcome["system_faults"] == {}
    assert sampled.complaints == []


@pytest.mark.parametrize("env", [{}, {**ON, "PRIMUS_LENS_WANDB_SAVE_LOCAL": "false"}])
def test_nothing_is_imported_unless_asked_for(train, env):
    done = train(
        """
        import sys, wandb
        wandb.init(project="p")
        wandb.log({"i": 1})
        print([name for name in sys.modules if name.startswith("primus_lens_hook.system")])
        """,
        env=env,
    )
    assert done.stdout == "[]\n"
    assert all("system" not in done.outcome for _ in done.lines)


@pytest.mark.exhaustive
def test_the_thread_ends_with_the_last_run_and_comes_back_with_the_next(train):
    done = train(
        START
        + """
    a = wandb.init(project="a", reinit="create_new")
    b = wandb.init(project="b", reinit="create_new")
    a.log({"a": 1}); b.log({"b": 1})
    a.finish()
    sampled()                           # now of b alone
    sampler.INTERVAL = 1000
    b.finish()
    while threads():
        time.sleep(0.01)
    c = wandb.init(project="c")
    c.log({"c": 1}); c.log({"c": 2})    # before the next sample
    print(len(threads()))
    """,
        env=ON,
    )
    assert done.stdout == "1\n"
    finished, other, _, last = logs(done)
    assert samples(done)[-1]["run"] == other["run"] != finished["run"]
    assert set(last["data"]) == {"c", "_primus_lens_enabled"}
    assert not FEW & set(rows(done)[-1])


@pytest.mark.exhaustive
def test_totals_go_on_from_run_to_run(train):
    done = train(
        START
        + """
    for name in "ab":
        wandb.init(project=name)
        wandb.log({"i": 1})
        os.system("dd if=/dev/zero of=/dev/null bs=1M count=3000 2>/dev/null")
        sampled()
        wandb.finish()
    """,
        env=ON,
    )
    seconds = [line["data"]["_primus_process_cpu_seconds_total"] for line in samples(done)]
    assert seconds == sorted(seconds)
    assert len({line["run"] for line in samples(done)}) == 2


@pytest.mark.exhaustive
def test_forked_children_have_samplers_of_their_own(train):
    done = train(
        START
        + """
    import multiprocessing
    from primus_lens_hook import patch
    run = wandb.init(project="p")
    run.log({"i": 0})
    sampled()
    def work(rank):
        if rank:
            os.environ["LOCAL_RANK"] = str(rank)
        print(rank, len(threads()), *run._primus_lens_steps.context.wandb.columns(), flush=True)
        sampler.INTERVAL = 0.05 if rank else 1000
        run.log({"child": rank})
        if rank:
            sampled()
        run.log({"child": rank})
    for rank in (0, 1):
        child = multiprocessing.get_context("fork").Process(target=work, args=(rank,))
        child.start()
        child.join()
        assert child.exitcode == 0
    run.finish()
    """,
        env=ON,
    )
    assert done.status == 0, done.stderr
    assert done.stdout == "0 0\n1 0\n"
    assert done.complaints == []
    first, second = (
        [line["data"] for line in logs(done) if line["data"].get("child") == rank]
        for rank in (0, 1)
    )
    assert not FEW & set(first[0])  # not its parent's
    assert set(second[1]) >= FEW
    assert len(first) == len(second) == 2
    other = (done.output / "node_0" / "rank_1" / "wandb_metrics.jsonl").read_text()
    assert '"sample":true' in other
    (same,) = (done.output / "node_0" / "rank_0").glob("wandb_metrics.p*.jsonl")
    assert '"sample":true' not in same.read_text()


@pytest.mark.exhaustive
def test_a_fork_waits_for_what_would_stay_locked_in_the_child(train):
    """As when a child is forked right after the first call, while psutil is being imported."""
    done = train(
        START
        + """
    lock, locked, go_on = threading.Lock(), threading.Event(), threading.Event()
    def read():
        with lock:
            locked.set()
            go_on.wait()
        return {}
    add_source(read=read)
    run = wandb.init(project="p")
    run.log({"i": 0})
    locked.wait()
    threading.Timer(0.1, go_on.set).start()
    child = os.fork()
    if not child:
        os._exit(lock.locked())
    print(os.waitpid(child, 0)[1])
    """,
        env=ON,
    )
    assert done.stdout == "0\n"


@pytest.mark.exhaustive
def test_the_second_process_of_a_rank_leaves_the_samples_to_the_first(train):
    done = train(
        START
        + """
    run = wandb.init(project="p")
    run.log({"i": 0})
    child = os.fork()
    if not child:
        text = ""
        while "_primus_sys_cpu_percent" not in text:
            run.log({"child": 1})
            time.sleep(0.01)
            text = open(glob.glob("records/**/*.p*.jsonl", recursive=True)[0]).read()
        os._exit(0)
    os.waitpid(child, 0)
    run.finish()
    """,
        env=ON,
    )
    assert done.status == 0, done.stderr
    (path,) = done.output.rglob("wandb_metrics.p*.jsonl")
    assert '"sample":true' not in path.read_text()


@pytest.mark.exhaustive
def test_the_private_psutil_is_nobody_elses(train, tmp_path):
    tree = tmp_path / "tree"
    shutil.copytree(Path(primus_lens_hook.__file__).parent, tree / "primus_lens_hook")
    shutil.copytree(Path(psutil.__file__).parent, tree / "private" / "psutil")
    done = train(
        START
        + """
    sys.modules["psutil"] = None    # the user has none
    path = list(sys.path)
    wandb.init(project="p")
    wandb.log({"i": 0})
    sampled()
    print([m for m in sys.modules if m.split(".")[0] == "psutil"], path == sys.path)
    del sys.modules["psutil"]       # now the user has one
    import psutil
    print(os.path.dirname(psutil.__file__))
    print(sys.modules["primus_lens_hook.system.vendored.psutil"].__file__)
    """,
        env={**ON, "PYTHONPATH": str(tree)},
    )
    none, own, private = done.stdout.splitlines()
    assert none == "['psutil'] True"
    assert own == str(Path(psutil.__file__).parent)
    assert private == str(tree / "private" / "psutil" / "__init__.py")
    assert done.outcome["system"][0] == "psutil"
