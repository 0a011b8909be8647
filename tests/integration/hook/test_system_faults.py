# SPDX-License-Identifier: Apache-2.0
"""Sources and threads that fail or hang: the training goes on, and one line says what is lost."""

import pytest

from support.sampling import FEW, ON, START, TRAIN, logs, rows, samples

RAISING = """
    reads = iter([{"gpu_0_util": 7.0}] * 2)
    add_source(read=lambda: next(reads))
"""


@pytest.mark.exhaustive
def test_a_source_that_raises_is_dropped_and_named(train):
    more = "sampled(); sampled(); wandb.log({'i': 2}); wandb.finish()"
    code = START + RAISING + TRAIN.removeprefix(START).replace("wandb.finish()", more)
    done = train(code, env=ON)
    assert "trained" in done.stdout
    (complaint,) = done.complaints
    assert "odd: StopIteration" in complaint
    assert "odd" not in done.outcome["system"]
    assert list(done.outcome["system_faults"]) == ["odd"]
    assert "_primus_gpu_0_util" in samples(done)[0]["data"]
    for last in (logs(done)[-1]["data"], rows(done)[-1]):  # it has left the rows too
        assert set(last) >= FEW
        assert "_primus_gpu_0_util" not in last


@pytest.mark.exhaustive
@pytest.mark.parametrize("where", ["read", "find"])
def test_a_source_that_hangs_leaves_the_training_alone(train, where):
    """It waits in the kernel, as in a driver's call; the exit does not wait for it."""
    done = train(
        START
        + f"""
    reached = threading.Event()
    def hang():
        reached.set()
        os.read(os.pipe()[0], 1)
    module = add_source(read=lambda: None)
    if {where == "find"}:
        module.find = hang
    else:
        module.find().read = hang
    for project in "ab":
        wandb.init(project=project)
        wandb.log({{"i": 0}})
        reached.wait()
        wandb.log({{"i": 1}})
        wandb.finish()
    for _ in range(10):                 # nor does a fork, but for a moment once
        child = os.fork()
        if not child:
            os._exit(0)
        os.waitpid(child, 0)
    print(len(threads()))
    """,
        env=ON,
        timeout=60,
    )
    assert (done.status, done.stdout) == (0, "1\n")
    assert [row["i"] for row in done.data] == [0, 1, 0, 1]


@pytest.mark.exhaustive
def test_no_more_threads_to_be_had(train):
    done = train(
        START
        + """
    wandb.init(project="p")
    start = threading.Thread.start
    def refused(thread):
        if thread.name == "primus-lens-sampler":
            raise RuntimeError("can't start new thread")
        start(thread)
    threading.Thread.start = refused
    wandb.log({"i": 0})
    wandb.log({"i": 1})
    """,
        env=ON,
    )
    assert done.status == 0
    assert [row["i"] for row in done.data] == [0, 1]
    assert len(done.complaints) == 1


@pytest.mark.exhaustive
def test_a_fault_of_the_sampler_ends_the_sampler_alone(train):
    code = (
        START
        + "    sampler.contract = None"
        + TRAIN.removeprefix(START).replace(
            "sampled()", "[time.sleep(0.01) for _ in iter(lambda: bool(threads()), False)]"
        )
    )
    done = train(code, env=ON)
    assert "trained" in done.stdout
    assert [row["i"] for row in done.data] == [0, 1]
    (complaint,) = done.complaints
    assert "AttributeError" in complaint
    assert done.outcome["outcome"] == "patched"
