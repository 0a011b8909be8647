# SPDX-License-Identifier: Apache-2.0
"""Two threads of which one stops after each bytecode, as either may where there is no GIL.

With the GIL, threads switch at few places of a function, and hardly ever at the one that matters.
"""

import itertools
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import primus_lens_hook

HOOK = str(Path(primus_lens_hook.__file__).parent)
NEVER = -1
BLOCKED = 0.001  # seconds; the other thread waits for a lock then, and ends later


def outcomes(make, act, other, seen, traced=HOOK):
    """What `seen(world)` is when both have ended, for each bytecode of ours within `act`.

    Each time `act(world)` stops there, `other(world)` runs in a thread of its own. `make` makes
    the world anew. `traced`: how the paths of our files begin.
    """
    # Since Python 3.12 the bytecodes of a function are traced from its second call on.
    world = make()
    _run_until(NEVER, lambda: act(world), None, traced)
    for moment in itertools.count():
        world = make()
        thread = threading.Thread(target=other, args=(world,))
        reached = _run_until(moment, lambda world=world: act(world), thread, traced)
        if not reached:
            assert moment > 0, "no bytecode of ours is traced"
            return
        thread.join()
        yield seen(world)


def one_after_another(make, act, other, seen):
    """The same of the two orders in which they can run one after the other."""
    for first, second in ((act, other), (other, act)):
        world = make()
        first(world)
        second(world)
        yield seen(world)


def at_once(act, arguments):
    """`act(argument)` in a thread for each of them, which begin together and switch often."""
    arguments = list(arguments)
    together = threading.Barrier(len(arguments))

    def run(argument):
        together.wait()
        act(argument)

    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(len(arguments)) as pool:
            list(pool.map(run, arguments))
    finally:
        sys.setswitchinterval(before)


def _run_until(moment, act, thread, traced):
    """Run `act`, and start the thread after so many bytecodes; whether there were so many."""
    left = [moment]

    def at_each_bytecode(_frame, event, _argument):
        if event == "opcode":
            left[0] -= 1
            if left[0] == -1:
                thread.start()
                thread.join(BLOCKED)
        return at_each_bytecode

    def at_each_call(frame, _event, _argument):
        if not frame.f_code.co_filename.startswith(traced):
            return None
        frame.f_trace_opcodes = True
        return at_each_bytecode

    before = sys.gettrace()
    sys.settrace(at_each_call)
    try:
        act()
    finally:
        sys.settrace(before)
    return left[0] < 0
