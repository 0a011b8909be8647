# SPDX-License-Identifier: Apache-2.0
"""A stack or a memory that is full when the training logs: no fault of ours, and none is made."""

import pytest

from support import training

NATIVE = {"PRIMUS_LENS_WANDB_HOOK": "off"}
DEEP = """
    import sys, wandb
    wandb.init(project="p")
    wandb.log({"first": 1.0}, step=0)
    wandb.log({"second": 1.0}, step=1)
    def at(depth, call):
        return at(depth - 1, call) if depth else call()
    worked = 0
    for depth in range(sys.getrecursionlimit() - 150, sys.getrecursionlimit()):
        for row, step in ROWS:
            try:
                at(depth, lambda: wandb.log(dict(row, depth=depth), step=depth - 9 * step))
                worked += 1
            except RecursionError:
                pass
    for i in range(20):
        wandb.log({"end": i}, step=2000 + i - 9 * (i % 2))
    wandb.finish()
    print(worked)
"""
ROWS = {
    "numbers": [({"a": 0.5}, 0)],
    "texts": [({"a": "x", "b": {"c": {"d": 1}}}, 0)],
    "late": [({"a": "x", "b": {"c": [1]}}, 0), ({"c": 1.5}, 1)],
}


@pytest.mark.parametrize("rows", ROWS)
def test_a_stack_that_is_nearly_full(tmp_path, rows):
    code = DEEP.replace("ROWS", repr(ROWS[rows]))
    done = training.run(tmp_path / "ours", code)
    native = training.run(tmp_path / "native", code, env=NATIVE)
    assert done.status == 0, done.stderr
    assert all("is not recorded: RecursionError" in line for line in done.complaints)
    # A few frames of ours lie between the training and wandb.
    assert int(native.stdout) - int(done.stdout) < 15 * len(ROWS[rows])
    assert done.outcome["outcome"] == "patched"
    assert [row["end"] for row in done.data[-20:]] == list(range(20))
    assert {row["end"] for row in done.rows if "end" in row} == set(range(20))


def test_a_dict_that_is_nested_as_deeply_as_wandb_takes_it(train):
    done = train("""
        import wandb
        def nested(depth):
            return {"d": nested(depth - 1)} if depth else 1
        wandb.init(project="p")
        for step, depth in enumerate([100, 200, 300, 400, 600, 800]):
            for late in 0, 5:
                try:
                    wandb.log({"deep": nested(depth), "at": step}, step=step * 2 - late)
                except RecursionError:
                    print(depth)
        wandb.log({"i": 0}, step=100)
        wandb.log({"i": 1}, step=99)
        wandb.finish()
    """)
    assert (done.status, done.complaints) == (0, []), done.stderr
    assert done.data[-2:] == [{"i": 0}, {"i": 1}]
    assert {row["i"] for row in done.rows if "i" in row} == {0, 1}


def test_a_memory_that_is_full(train):
    done = train("""
        import os, wandb
        wandb.init(project="p")
        native = os.write
        def write(descriptor, line):
            if b'"full"' in line:
                raise MemoryError
            return native(descriptor, line)
        os.write = write
        for i in range(10):
            wandb.log({"full" if i == 5 else "i": i})
        wandb.finish()
    """)
    assert done.status == 0
    assert done.complaints == ["primus-lens: a log call is not recorded: MemoryError: "]
    assert [row["i"] for row in done.data] == [0, 1, 2, 3, 4, 6, 7, 8, 9]
    assert [row["full"] for row in done.rows if "full" in row] == [5]
