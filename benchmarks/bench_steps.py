# SPDX-License-Identifier: Apache-2.0
"""CPU of the step fix: a training in order, and one whose callback is a step late.

wandb alone and with the step fix, JSONL off, in one process, in pairs of blocks in random
order, each followed by a flush: what was put off counts too. The CPU is that of all
threads of the training's process.
"""

import os
import random
import statistics
import subprocess
import sys
import tempfile
import time

from alone import leave_alone

BLOCKS, WARM_UP, STEPS = 200, 20, 25
GOALS = {"in order": 1.10, "callback one step late": 1.5}


def in_order(run, step, row):
    run.log(row, step=2 * step)
    run.log(row, step=2 * step + 1)


def one_step_late(run, step, row):
    run.log(row, step=step)
    run.log({"callback": step}, step=step - 1)


def measure():
    import wandb
    from primus_lens_hook import patch

    row = {f"train/metric_{number}": random.random() for number in range(10)}
    flush = patch.the_hook().step_fix.flush
    print(f"CPU of {2 * STEPS} log calls of 10 scalars (of the late callback: of one)")
    for (name, goal), train in zip(GOALS.items(), (in_order, one_step_late), strict=True):
        runs = {way: wandb.init(project="b", reinit="create_new") for way in ("alone", "ours")}
        leave_alone(runs["alone"])
        blocks = []
        for block in range(BLOCKS):
            steps = range(block * STEPS, (block + 1) * STEPS)
            used = {}
            for way in random.sample(sorted(runs), 2):
                time.sleep(0.005)  # wandb's own threads catch up
                started = time.process_time()
                for step in steps:
                    train(runs[way], step, row)
                flush()
                used[way] = time.process_time() - started
            blocks.append(used)
        report(name, goal, blocks[WARM_UP:])
    sys.stdout.flush()
    os._exit(0)


def report(name, goal, blocks):
    alone = statistics.median(used["alone"] for used in blocks)
    ratio = statistics.median(used["ours"] / used["alone"] for used in blocks)
    print(f"  {name}")
    print(f"    wandb alone      {alone * 1e3:7.2f} ms")
    print(f"    with the fix     {alone * ratio * 1e3:7.2f} ms")
    print(f"    ratio            {ratio:7.2f} (goal ≤ {goal:.2f})")


def main():
    with tempfile.TemporaryDirectory() as directory:
        offline = {"WANDB_MODE": "offline", "WANDB_SILENT": "true"}
        command = [sys.executable, os.path.abspath(__file__), "--measure"]
        subprocess.run(command, cwd=directory, env={**os.environ, **offline}, check=True)


if __name__ == "__main__":
    measure() if "--measure" in sys.argv else main()
