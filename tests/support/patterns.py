# SPDX-License-Identifier: Apache-2.0
"""Trainings whose components disagree about the step, and what of them wandb has in the end.

Each is a script that calls `log(data, step, commit)`, which is `wandb.log` and a note of
what was sent. No two values are the same, so that each can be found again.
"""

import json
import textwrap
from collections import Counter

STEPS = 60

PRELUDE = f"""
    import itertools, json, threading, time, wandb
    STEPS = {STEPS}
    run = wandb.init(project="p")
    values, sent = itertools.count(), []
    def log(keys, step=None, commit=None):
        data = {{key: next(values) for key in keys.split()}}
        sent.append([dict(data), step])
        wandb.log(data, step=step, commit=commit)
"""

CODA = """
    wandb.finish()
    with open("sent.json", "w") as file:
        json.dump(sent, file)
"""

PATTERNS = {
    "callback one step late": """
        for i in range(STEPS):
            log("loss lr", i)
            if i:
                log("callback", i - 1)
    """,
    "callback late at every tenth": """
        for i in range(STEPS):
            log("loss lr", i)
            if i % 10 == 1:
                log("callback accuracy grad", i - 1)
    """,
    "evaluation in a thread": """
        def evaluate(step):
            time.sleep(0.02)
            log("eval/loss eval/accuracy", step)
        threads = []
        for i in range(STEPS):
            log("loss", i)
            if i % 3 == 0:
                threads.append(threading.Thread(target=evaluate, args=(i,)))
                threads[-1].start()
            time.sleep(0.005)
        [thread.join() for thread in threads]
    """,
    "no step mixed with steps": """
        for i in range(STEPS):
            log("rollout/reward")
            log("loss", i)
            log("rollout/length")
    """,
    "two counters": """
        for i in range(STEPS):
            log("samples/loss", i * 16)
            log("update/loss update/lr", i)
    """,
    "rewind to a checkpoint": """
        for i in [*range(STEPS), *range(STEPS // 2, STEPS + 10)]:
            log("loss lr", i)
    """,
    "six threads": """
        def work(who):
            for i in range(STEPS // 2):
                log("worker/%d" % who, i)
                time.sleep(0.001)
        threads = [threading.Thread(target=work, args=(who,)) for who in range(6)]
        [thread.start() for thread in threads]
        [thread.join() for thread in threads]
    """,
    "transformers and steps of one's own": """
        wandb.define_metric("train/global_step")
        wandb.define_metric("*", step_metric="train/global_step", step_sync=True)
        for i in range(STEPS):
            log("mine", i)
            if i % 5 == 0:
                data = {"train/loss": next(values), "train/global_step": i}
                sent.append([dict(data), None])
                wandb.log(data)
                log("also_mine", i)
    """,
}

# Threads: no two runs of these send their values in the same order.
THREADED = ("evaluation in a thread", "six threads")

PATTERNS["transformers' axis, a late callback"] = """
        wandb.define_metric("train/global_step")
        wandb.define_metric("*", step_metric="train/global_step", step_sync=True)
        for i in range(1, STEPS // 2):
            log("custom/reward")
            data = {"train/loss": next(values), "train/global_step": i}
            sent.append([dict(data), None])
            wandb.log(data)
            log("callback/late", i - 1)
"""

FOUR_TIMES = """
        for i in range(STEPS // 4):
            for _ in range(4):
                log("loss", i)
"""

KILLED = """
    with open("sent.json", "w") as file:
        json.dump(sent, file)
    time.sleep(0.2)  # wandb's own thread has sent what it got
    import os, signal
    os.kill(os.getpid(), signal.SIGKILL)
"""


def script(pattern, end=CODA, steps=STEPS):
    """The training as one script."""
    prelude = PRELUDE.replace(f"STEPS = {STEPS}", f"STEPS = {steps}")
    return "".join(map(textwrap.dedent, (prelude, pattern, end)))


def together():
    """All of them in one process, a run each; with duplicates kept, none may lose a value."""
    runs = [*PATTERNS.values(), FOUR_TIMES]
    again = "wandb.finish()\nwandb.init(project='p')\n"
    return script(again.join(map(textwrap.dedent, runs)))


def sent(training):
    """What the script logged, on all ranks: (data, step) each."""
    return [call for calls in ranks(training) for call in calls]


def ranks(training):
    """What each rank logged, in the order of its calls."""
    files = sorted(training.directory.glob("sent*.json"))
    return [json.loads(file.read_text()) for file in files]


def lost(training):
    """The values that no row of W&B has, as a sorted list of (key, value)."""
    had = values(data for data, _ in sent(training))
    return sorted((had - values(training.rows)).elements(), key=str)


def values(rows):
    """Each value of rows with its key, and how often it is there."""
    pairs = (pair for row in rows for pair in row.items())
    return Counter((key, v if isinstance(v, (int, float)) else json.dumps(v)) for key, v in pairs)


def share_lost(training):
    """How much of what was sent W&B does not have, from 0 to 1."""
    return len(lost(training)) / sum(len(data) for data, _ in sent(training))
