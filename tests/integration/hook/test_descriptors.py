# SPDX-License-Identifier: Apache-2.0
"""Trainings that close, reuse and run out of descriptors: their own files stay theirs."""

import pytest

exhaustive = pytest.mark.exhaustive
# The training's own files, opened right after it has done something to all descriptors.
TRAIN = """
    import os, sys, time, wandb
    run = wandb.init(project="p", mode="disabled")
    wandb.log({{"i": 0}})
    {}
    shards = [open("shard%d" % n, "w+") for n in range(40)]
    for i in range(1, 50):
        wandb.log({{"i": i}})
    for n, shard in enumerate(shards):
        shard.write("weights %d" % n)
        shard.flush()
    time.sleep(1.1)
    wandb.log({{"i": 50}})
    if os.fork() == 0:  # the child lets go of its parent's file
        [shard.write("!") for shard in shards]
        [shard.close() for shard in shards]
        os._exit(0)
    os.wait()
    print("trained")
"""
TAKEN = {
    "closed": "os.closerange(3, 1024)",
    "replaced": "[os.dup2(os.open(os.devnull, os.O_RDWR), n) for n in range(3, 60)]",
    "unlinked": "import shutil; shutil.rmtree('records')",
}


@pytest.mark.parametrize("how", TAKEN)
def test_no_line_gets_into_a_file_of_the_trainings(train, how):
    done = train(TRAIN.format(TAKEN[how]))
    assert (done.status, done.stdout, done.complaints) == (0, "trained\n", []), done.stderr
    for n in range(40):
        assert (done.directory / f"shard{n}").read_text() == f"weights {n}!"
    kept = [row["i"] for row in done.data]
    assert kept == list(range(1 if how == "unlinked" else 0, 51))


NOISE = """
    import os, sys, wandb
    if len(sys.argv) > 1:  # once more, without some of the standard streams
        python = "exec " + sys.executable + " " + sys.argv[0] + " " + sys.argv[1]
        os.execvp("sh", ["sh", "-c", python])
    wandb.init(project="p", mode="disabled")
    for i in range(20):
        wandb.log({"i": i})
        for fd in 0, 1, 2:
            try:
                os.write(fd, b"noise")
            except OSError:
                pass
"""


@pytest.mark.parametrize("closed", ["2>&-", pytest.param("<&- >&- 2>&-", marks=exhaustive)])
def test_what_is_written_to_a_closed_stream_does_not_get_into_ours(train, closed):
    done = train(NOISE, closed)
    assert done.status == 0
    assert [row["i"] for row in done.data] == list(range(20))


def test_without_a_descriptor_for_a_while(train):
    done = train("""
        import os, resource, time, wandb
        wandb.init(project="p", mode="disabled")
        resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
        taken = []
        try:
            while True: taken.append(os.open("/dev/null", os.O_RDONLY))
        except OSError:
            wandb.log({"i": 0})
        for fd in taken: os.close(fd)
        time.sleep(1.1)
        for i in range(1, 10): wandb.log({"i": i})
    """)
    assert done.status == 0
    assert len(done.complaints) == 1
    assert "Too many open files" in done.complaints[0]
    assert [row["i"] for row in done.data] == list(range(1, 10))


@exhaustive
def test_children_that_log_once(train):
    done = train(
        """
        import os, wandb
        wandb.init(project="p", mode="disabled")
        wandb.log({"i": 0})
        for i in range(1, 301):
            if os.fork() == 0:
                wandb.log({"i": i})
                os._exit(0)
            os.wait()
        """,
        env={"PRIMUS_LENS_WANDB_MAX_BYTES": "65536"},
    )
    assert done.status == 0
    files = list(done.output.rglob("*.json*"))
    assert sum(file.stat().st_size for file in files) <= 65536
    assert {"i": 300} in done.data
