# SPDX-License-Identifier: Apache-2.0
"""With the hook a training keeps the rules that `compare` knows; native is the oracle."""

import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from support import matrix
from support.differential import pack, processes, shrink, situations
from support.differential.pack import Pack
from support.differential.processes import Process
from support.differential.program import Line, Program
from support.differential.rules import brief

NEWEST = 300  # programs
SEED = "gate"
exhaustive = pytest.mark.exhaustive
SITUATIONS = {
    **{
        f"W3 preempted after {moment} s": Process(
            "timer that finishes", "W3", (("moment", moment), ("late", "0"))
        )
        for moment in ("0.07", "0.1", "0.15", "0.2")
    },
    **{
        f"W4 a run handed to a child by {method}": Process(
            "child", "W4", (("method", method), ("late", "0"), ("free", "False"))
        )
        for method in ("fork", "spawn", "forkserver")
    },
    "W5d a resumed run that is watched": Process(
        "resumed run", "W5d", (("late", "1"), ("back", "0"), ("free", "True"), ("first", "0"))
    ),
}


@pytest.mark.parametrize("kept", [False, True], ids=["", "duplicates kept"])
def test_situations(kept):
    bodies = situations.KEPT_DUPLICATES if kept else situations.RUNS
    programs = [Program(run_id(name), (Line(body.strip()),)) for name, body in bodies.items()]
    broken = Pack(tuple(programs), kept).broken()
    if broken:
        pytest.fail(brief(broken), pytrace=False)


def run_id(name):
    return re.sub(r"\W+", "-", name)


@exhaustive
@pytest.mark.parametrize("name", SITUATIONS)
def test_situation_of_processes(name):
    check(SITUATIONS[name])


@exhaustive
@pytest.mark.parametrize("name", processes.KINDS)
def test_process(name):
    check(Process(name, SEED))


@pytest.mark.parametrize(
    "number", [0, *(pytest.param(n, marks=exhaustive) for n in range(1, NEWEST // pack.SIZE))]
)
def test_newest_wandb(number):
    check(list(pack.packs(SEED, NEWEST))[number])


@exhaustive
@pytest.mark.xdist_group("each wandb")  # a process of an old wandb keeps a core busy for long
@pytest.mark.timeout(600)  # twice what a process has, and more
def test_each_wandb(cell, pytestconfig):
    """Two at once: a run of an old wandb waits half of its time, and uses a core for the rest."""
    count = pytestconfig.getoption("programs")
    size = 20 if pack.wandb_of(cell) >= (0, 18) else 5  # before wandb-core, a run starts slowly
    programs = [*pack.packs(SEED, count, cell, size), *processes_for(cell)]
    with ThreadPoolExecutor(2) as pool:
        broken = list(pool.map(lambda each: each.broken(cell), programs))
    for each, found in zip(programs, broken, strict=True):
        fail(each, found, cell)


@exhaustive
def test_native_is_as_native():
    """The comparison finds nothing where there is nothing to find."""
    (each,) = pack.packs(SEED, pack.SIZE)
    assert not each.broken(hooked=False)


def processes_for(cell):
    """Two kinds of those that need no server, others for each cell."""
    kinds = [*processes.EXACT, *processes.FREE] * 2
    cells = [each.name for each in (*matrix.MATRIX, matrix.FREE_THREADED)]
    first = 2 * cells.index(Path(cell).parent.parent.name)
    return [Process(kind, SEED) for kind in kinds[first : first + 2]]


def check(each):
    fail(each, each.broken())


def fail(each, broken, python=None):
    if broken:
        # Shown also where the timeout of the test ends the search for a smaller program.
        print(brief(broken))  # noqa: T201
        pytest.fail(shrink.report(each, broken, python), pytrace=False)
