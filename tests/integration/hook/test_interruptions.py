# SPDX-License-Identifier: Apache-2.0
"""What signal handlers, tracing functions and other threads raise within the hook's code.

All of it reaches the training, and the hook goes on: no later call is lost.
"""

import re

import pytest

from support import training

SCRIPT = """
    import ctypes, functools, random, signal, sys, threading, time, wandb

    counted = {"raised": 0, "caught": 0}

    class Preempted(TimeoutError):  # an OSError
        def __init__(self):
            # Within wandb: it may swallow it, as without the hook.
            self.within = is_within(sys._getframe(1))
            counted["raised"] += self.within

    def is_within(frame):
        while frame is not None:
            if "primus_lens_hook" in frame.f_code.co_filename:
                return True
            if "/wandb/" in frame.f_code.co_filename:
                return False
            frame = frame.f_back
        return False

    def handler(signum, frame):
        if is_within(frame):
            raise Preempted

    def leaving(signum, frame):
        signal.signal(signal.SIGALRM, handler)
        del signum
        handler(None, frame)

    class Handlers:
        def __call__(self, *arguments): handler(*arguments)
        def method(self, *arguments): handler(*arguments)

    handlers = [handler, leaving, lambda *_: handler(*_), functools.partial(handler),
                Handlers(), Handlers().method, functools.wraps(handler)(lambda s, f: handler(s, f))]

    def by_signal(choose):
        signal.signal(signal.SIGALRM, choose.choice(handlers))
        signal.setitimer(signal.ITIMER_REAL, choose.uniform(1e-6, LONGEST))

    def by_tracing(choose):
        left = choose.randrange(400)
        def trace(frame, event, argument):
            nonlocal left
            if "primus_lens_hook" not in frame.f_code.co_filename:
                return None
            left -= event == "line"
            if left < 0:
                sys.settrace(None)
                raise Preempted
            return trace
        sys.settrace(trace)

    # No events of threading: what is raised within one may leave it locked, and so may wandb's be.
    wanted, busy, main = [], [], threading.get_ident()

    def by_thread(choose):
        wanted.append(True)

    def interrupt():
        choose = random.Random(SEED)
        while True:
            if wanted and choose.random() < 0.5:
                busy.append(True)
                if wanted and is_within(sys._current_frames()[main]):
                    raising(main, ctypes.py_object(Preempted))
                    wanted.clear()
                busy.clear()
            time.sleep(5e-6)

    raising = ctypes.pythonapi.PyThreadState_SetAsyncExc
    raising.argtypes = ctypes.c_ulong, ctypes.py_object

    def rest():
        signal.setitimer(signal.ITIMER_REAL, 0)
        sys.settrace(None)
        wanted.clear()
        while busy:
            time.sleep(20e-6)

    ACTS = [
        lambda i: wandb.log({"a": i, "b": 0.5}),
        lambda i: wandb.log({"a": i, "b": 0.5}, step=i),
        lambda i: wandb.log({"a": i, "text": "x", "deep": {"er": [1]}}, step=i),
        lambda i: wandb.log({"late": i, "text": "x"}, step=i - 5),
        lambda i: wandb.log({"late": i, "odd": object}, step=i - 9),
        lambda i: wandb.log({"late": i, "media": wandb.Histogram([i])}, step=i - 3),
        lambda i: wandb.define_metric("metric%d" % (i % 50), step_metric="late"),
        lambda i: wandb.run.summary.update({"mine": i}),
        lambda i: wandb.run.step,
    ]

    def act(choose, i):
        whole = False
        try:
            globals()[HOW](choose)
            choose.choice(ACTS[:LAST])(i)
            whole = True
            rest()
        except Preempted as error:
            rest()
            counted["caught"] += error.within
        return whole

    wandb.init(project="p")
    wandb.log({"first": 1, "b": 0.5}, step=0)
    if HOW == "by_thread":
        sys.setswitchinterval(1e-5)
        threading.Thread(target=interrupt, daemon=True).start()
    choose = random.Random(SEED)
    kept = [i for i in range(10, CALLS + 10) if act(choose, i)]
    signal.signal(signal.SIGALRM, signal.SIG_IGN)
    def end():
        for i in range(20):
            wandb.log({"end": i}, step=CALLS + 10 + i - 9 * (i % 2))
    # In another thread, which would wait for ever for a lock that was left taken.
    ending = threading.Thread(target=end, daemon=True)
    ending.start()
    ending.join(30)
    wandb.finish()
    print(counted["raised"], counted["caught"], len(kept))
"""


def train(directory, how, calls, seed=1, longest=300e-6, last=9, **options):
    constants = {"HOW": repr(how), "CALLS": calls, "SEED": seed, "LONGEST": longest, "LAST": last}
    script = SCRIPT
    for name, value in constants.items():
        script = re.sub(rf"\b{name}\b", str(value), script)
    return training.run(directory, script, **options)


@pytest.mark.parametrize(
    ("how", "calls"), [("by_signal", 3000), ("by_tracing", 1000), ("by_thread", 1000)]
)
@pytest.mark.parametrize(
    "seed", [1, *(pytest.param(n, marks=pytest.mark.exhaustive) for n in (2, 3, 4))]
)
def test_each_reaches_the_training(tmp_path, how, calls, seed):
    done = train(tmp_path, how, calls, seed)
    assert (done.status, done.complaints) == (0, []), done.stderr
    raised, caught, _ = map(int, done.stdout.split())
    assert caught == raised > calls / 50
    assert done.outcome["outcome"] == "patched"
    assert [row["end"] for row in done.data[-20:]] == list(range(20))
    assert {row["end"] for row in done.rows if "end" in row} == set(range(20))


IMPORTS = """
    import sys, threading, wandb

    def note(event, arguments):
        if event == "import" and threading.current_thread() is threading.main_thread():
            imported.append(arguments[0])

    run, imported = wandb.init(mode="MODE"), []
    sys.addaudithook(note)
    for step in (2, 1):
        run.log({"a": step, "text": "t"}, step=step)
    run.finish()
    print(imported)
"""


@pytest.mark.parametrize("mode", ["disabled", "offline"])
def test_no_call_imports_anything(tmp_path, mode):
    """Python swallows what a signal handler raises in a callback of its import machinery."""
    code, environ = IMPORTS.replace("MODE", mode), {"PRIMUS_LENS_WANDB_ENHANCE_METRICS": "true"}
    native, hooked = (
        training.run(tmp_path / name, code, env={**environ, "PRIMUS_LENS_WANDB_HOOK": name})
        for name in ("false", "true")
    )
    assert hooked.stdout == native.stdout
