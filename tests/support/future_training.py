# SPDX-License-Identifier: Apache-2.0
"""Trains with a wandb of the future, and says what is lost of what native wandb keeps."""

import re
from collections import Counter
from pathlib import Path

from support import futures, training

PROGRAM = """
import os, wandb
def attempt(act):
    try:
        answer = act()
        print(answer if isinstance(answer, list) else type(answer).__name__)
    except Exception as error:
        print(type(error).__name__, error)
run = wandb.init(project="p", group="g", id="first")
run.define_metric("eval/*", step_metric="epoch")
for i in range(6):
    attempt(lambda: wandb.log({"loss": i / 4, "epoch": i // 3}, step=i))
run.log({"eval/a": 1}, 6, False)
run.log({"late": 1}, step=2)
run.log({"nested": {"late": 2}}, step=3)
attempt(lambda: run.log({"medium": wandb.Histogram([1, 2])}, step=1))
run.log({"eval/b": 2, "deep": {"a": 1}})
run.log({"loss": 9, "deep": {"a": 9}}, step=0)
attempt(lambda: run.log({1: 2}))
attempt(lambda: run.log({"odd": 1}, step="7"))
attempt(lambda: run.log({"odd": 1}, unknown=2))
attempt(lambda: run.log())
run.summary["best"] = 3
attempt(lambda: [run.summary["loss"], run.summary["best"], run.summary["deep"]["a"]])
if not os.fork():
    run.log({"child": 1})
    os._exit(0)
os.wait()
run.log({"last": 1}, step=40)
run.log({"end": 1}, step=39)
run.log({"end": 2}, step=41)
run.finish()
attempt(lambda: run.log({"after": 1}))
run = wandb.init(project="p", mode="disabled")
wandb.log({"disabled": 1}, step=1)
run.log({"disabled": 2}, step=2)
run.finish()
with wandb.init(project="p", reinit=True) as run:
    run.log({"second": 1}, step=1)
    run.log({"second": 2}, step=0)
print("trained")
"""
TESTS = Path(__file__).parents[1]
REFUSED = 13  # of the records; the call with a keyword that is not known
OURS = {"_step", "_primus_lens_enabled", "primus_lens/step"}

PREAMBLE = """
import sys
sys.path.append({tests!r})
from support import future, futures
future.install(futures.ALL[{name!r}])
"""


def run(directory, name, hook):
    """Train with that wandb, with or without the hook."""
    future = futures.ALL[name]
    code = PROGRAM
    for old, new in future.program:
        code = re.sub(old, new, code)
    if future.renamed:
        code = re.sub(rf"\b{future.renamed}\b", future.renamed + "_2", code)
    preamble = PREAMBLE.format(tests=str(TESTS), name=name)
    env = {**training.QUICK, "PRIMUS_LENS_WANDB_HOOK": str(hook)}
    return training.run(directory, preamble + code, env=env)


def seen(done):
    """What a user sees of the training: its exit and its output."""
    others = [line for line in done.stderr.splitlines() if not line.startswith("primus-lens: ")]
    return done.status, done.stdout, others


def records(today, name):
    """The data of the records that the hook of this wandb has to make; `today` has all."""
    future = futures.ALL[name]
    hidden = {"records": lambda _: True, "disabled_runs": lambda data: "disabled" in data}
    kept = [line["data"] for line in today]
    if future.accepts:  # after the other odd one
        kept.insert(REFUSED, kept[REFUSED - 1])
    for part in hidden.keys() & set(future.declined):
        kept = [data for data in kept if not hidden[part](data)]
    return kept


def lost(native, hooked):
    """Values that native wandb keeps and the hooked training has not, or at another epoch."""
    kept = Counter(value for row in hooked.rows for value in values(row))
    return Counter(value for row in native.rows for value in values(row)) - kept


def values(row):
    return [(key, repr(value), row.get("epoch")) for key, value in row.items() if key not in OURS]
