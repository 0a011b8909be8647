# SPDX-License-Identifier: Apache-2.0
"""Programs that need a process of their own: signals, threads, children, ways to end.

Each is a script in the calls of the prelude, with places ($late, …) that a seed fills.
`EXACT` ones run the same each time and are compared call by call; of the others, whose
threads and signals come when they come, each call that returned must be in W&B once.
"""

import itertools
import random
import string
from typing import NamedTuple

from support.differential import source
from support.differential.compare import compare, compare_loosely
from support.differential.running import broken

CHOICES = {
    "late": ("0", "1", "3"),  # steps that a callback lags behind; 0: it is in order
    "free": ("True", "False"),  # whether rows without a step are among the others
    "method": ("fork", "spawn", "forkserver"),
    "first": ("0", "1", "200"),
    "back": ("0", "1", "5"),
    "axis": ("True", "False"),
    "moment": ("0.01", "0.03", "0.07", "0.2"),
    "ending": ("run.finish()", "wandb.finish()"),
    "way": ("", "sys.exit(3)", "raise RuntimeError('ended')", "run.finish(exit_code=2)"),
}

TRAIN = """
import itertools, multiprocessing

def begin(name="run", **how):
    run = wandb.init(project="p", id=name, **how)
    begun(run)
    if $axis:
        define(run, "train/*", step_metric="epoch")
    return run

def train(run, first, last, who="loss", numbers=itertools.count(1000), every=1):
    for step in range(first, last, every):
        log(run, {who: next(numbers)}, step=step)
        if $late:
            log(run, {who + "/late": next(numbers)}, step=max(0, step - $late))
        if $free and step % 3 == 0:
            log(run, {"train/free": next(numbers), "epoch": step})
"""

CHILD = """
def evaluate(run):
    for number in range(10):
        log(run, {"child%d" % number: 5000 + number}, step=$first + 9 - $back)

if __name__ == "__main__":
    run = begin()
    train(run, $first, $first + 10)
    child = multiprocessing.get_context("$method").Process(target=evaluate, args=(run,))
    child.start()
    child.join()
    train(run, $first + 10, $first + 30)
    run.finish()
"""
ATTACHED = """
def evaluate(name, ready, go):
    ready.set()
    go.wait()  # with nothing left to load: what the parent has logged still waits
    wandb._attach(name)
    for number in range(10):
        log(wandb.run, {"child%d" % number: 5000 + number}, step=$first + 45 - $back)

if __name__ == "__main__":
    run = begin()
    context = multiprocessing.get_context("spawn")
    ready, go = context.Event(), context.Event()
    child = context.Process(target=evaluate, args=("run", ready, go))
    child.start()
    ready.wait()
    # Steps with gaps: without, a late row moves wandb's counter beyond the child's step.
    train(run, $first, $first + 50, every=5)
    go.set()
    child.join()
    train(run, $first + 50, $first + 100, every=5)
    run.finish()
"""
RAW_FORK = """
if __name__ == "__main__":
    run = begin()
    train(run, $first, $first + 10)
    child = os.fork()
    if not child:
        log(run, {"child": 5000})
        log(run, {"child": 5001}, step=$first + 9 - $back)
        os._exit(0)
    os.waitpid(child, 0)
    train(run, $first + 10, $first + 30)
    run.finish()
"""
RINGS = """
class Rings(wandb.Histogram):
    '''A value that has the process signalled while wandb encodes it.'''
    def to_json(self, *args, **kwargs):
        os.kill(os.getpid(), signal.SIGUSR1)
        return super().to_json(*args, **kwargs)
"""
HANDLER_THAT_LOGS = """
if __name__ == "__main__":
    run = begin()
    times = itertools.count()
    def handler(*_):
        number = next(times)
        log(run, {"handler%d" % number: 5000 + number}, step=max(0, $first + 10 - $back))
    signal.signal(signal.SIGUSR1, handler)
    train(run, $first, $first + 10)
    for number in range(5):
        log(run, {"loss": 7000 + number, "odd%d" % number: Rings([1, 2])}, step=$first + 10)
        train(run, $first + 11 + number, $first + 12 + number)
    run.finish()
"""
HANDLER_THAT_RAISES = """
class Preempted(Exception):
    pass

def handler(*_):
    raise Preempted

if __name__ == "__main__":
    run = begin()
    signal.signal(signal.SIGUSR1, handler)
    train(run, $first, $first + 10)
    for number in range(5):
        log(run, {"loss": 7000 + number, "odd%d" % number: Rings([1, 2])}, step=$first + 10)
        train(run, $first + 11 + number, $first + 12 + number)
    run.finish()
"""
HANDLER_THAT_FINISHES = """
if __name__ == "__main__":
    run = begin()
    signal.signal(signal.SIGTERM, lambda *_: ($ending, sys.exit(143)))
    train(run, $first, $first + 20)
    os.kill(os.getpid(), signal.SIGTERM)
    train(run, $first + 20, $first + 30)
"""
HANDLER_THAT_FINISHES_A_CALL = """
if __name__ == "__main__":
    run = begin()
    signal.signal(signal.SIGUSR1, lambda *_: ($ending, sys.exit(143)))
    train(run, $first, $first + 20)
    log(run, {"loss": 7000, "ring": Rings([1, 2])}, step=$first + 20)
"""
ENDS = """
if __name__ == "__main__":
    run = begin()
    train(run, $first, $first + 20)
    $way
"""
THREAD_THAT_FINISHES = """
if __name__ == "__main__":
    run = begin()
    train(run, $first, $first + 10)
    thread = threading.Thread(target=train, args=(run, $first + 5, $first + 20))
    thread.start()
    thread.join()
    thread = threading.Thread(target=lambda: $ending)
    thread.start()
    thread.join()
"""
THREAD_AT_EXIT = """
if __name__ == "__main__":
    run = begin()
    train(run, $first, $first + 10)
    def evaluate():
        threading.main_thread().join()
        train(run, $first + 5, $first + 20)
    threading.Thread(target=evaluate).start()
"""
RUN_AFTER_RUN = """
if __name__ == "__main__":
    train(begin("one"), $first, $first + 20)
    run = begin("two", reinit=True)
    train(run, $first, $first + 20)
    $way
"""
TWO_AT_ONCE = """
if __name__ == "__main__":
    one, two = begin("one", reinit="create_new"), begin("two", reinit="create_new")
    for step in range(0, 30, 5):
        train(one, step, step + 5)
        train(two, $first + step, $first + step + 5)
    two.finish()
    one.finish()
"""
TOLD = """
if __name__ == "__main__":
    run = begin()
    for step in range($first, $first + 20):
        tell(run, step)
        log(run, {"free": 5000 + step})
        if step % 3 == 0:
            log(run, {"more": 6000 + step})
        if step % 4 == 0 or not $late:
            train(run, step, step + 1)
    run.finish()
"""
RESUMED = """
def watched(run, number):
    # as wandb.watch does
    log(run, {"gradients/w%d" % number: wandb.Histogram([1, 2, number])}, commit=False)

if __name__ == "__main__":
    run = begin()
    train(run, $first, $first + 12)
    run.finish()
    time.sleep(1)  # wandb names a run's directory by the second: natively it may be the same one
    run = begin(resume="must")
    for step in range($first + 12 - $back, $first + 24):
        watched(run, step)
        log(run, {"again/loss": 7000 + step})
        if $free:
            log(run, {"again/late": 8000 + step}, step=step - $late)
    run.finish()
"""
TIMER_THAT_FINISHES = """
if __name__ == "__main__":
    run = begin()
    signal.signal(signal.SIGALRM, lambda *_: ($ending, sys.exit(143)))
    log(run, {"first": 1}, step=$first)  # on a busy machine the timer may be first otherwise
    signal.setitimer(signal.ITIMER_REAL, $moment)
    for step in itertools.count($first):
        log(run, {"loss": 1000000 + step}, step=step)
        if step % 50 == 49:
            log(run, {"eval/loss": 2000000 + step}, step=max(0, step - 40))
"""
THREADS = """
def work(run, who):
    for step in range($first, $first + 60):
        log(run, {"worker%d" % who: 100000 * who + step}, step=step)
        if $free:
            log(run, {"free%d_%d" % (who, step): step})

if __name__ == "__main__":
    run = begin()
    threads = [threading.Thread(target=work, args=(run, who)) for who in range(1, 6)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    $ending
"""

EXACT = {
    "child": CHILD,
    "child attached by id": ATTACHED,
    "child by os.fork": RAW_FORK,
    "handler that logs": RINGS + HANDLER_THAT_LOGS,
    "handler that raises": RINGS + HANDLER_THAT_RAISES,
    "handler that finishes": HANDLER_THAT_FINISHES,
    "handler that finishes in a call": RINGS + HANDLER_THAT_FINISHES_A_CALL,
    "end": ENDS,
    "thread that finishes": THREAD_THAT_FINISHES,
    "thread at exit": THREAD_AT_EXIT,
    "run after run": RUN_AFTER_RUN,
    "two runs at once": TWO_AT_ONCE,
    "training step told": TOLD,
}
ONLINE = {"resumed run": RESUMED}
FREE = {  # a handler that logs at any time deadlocks wandb itself
    "timer that finishes": TIMER_THAT_FINISHES,
    "threads": THREADS,
}
KINDS = {**EXACT, **ONLINE, **FREE}


class Process(NamedTuple):
    """A program of a name; the seed fills the places that are not chosen."""

    name: str
    seed: str
    chosen: tuple = ()  # of (place, text)

    @property
    def script(self):
        dice = random.Random(f"{self.name} {self.seed}")
        places = {place: dice.choice(choices) for place, choices in CHOICES.items()}
        text = string.Template(TRAIN + KINDS[self.name])
        return source.whole(text.substitute({**places, **dict(self.chosen)}))

    def broken(self, python=None, *, hooked=True):
        check = compare_loosely if self.name in FREE else compare
        if not hooked and self.name == "threads":
            return []  # which of the rows native drops, only wandb knows
        online = self.name in ONLINE
        return broken(self.script, python, hooked=hooked, online=online, check=check)


def processes(seed, count):
    """So many, each kind in turn."""
    names = itertools.cycle(KINDS)
    return [Process(name, f"{seed}-{n}") for n, name in zip(range(count), names, strict=False)]
