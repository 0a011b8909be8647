# SPDX-License-Identifier: Apache-2.0
"""CPU of one `wandb.log` of ten scalars: wandb alone, and with JSONL written by the hook.

Both are measured in one process, in pairs of short turns in random order, on the newest
wandb offline; the calling thread's CPU is what the training pays. A noisy machine moves both
of a pair alike: the median of their differences is what the hook adds.
"""

import os
import random
import statistics
import subprocess
import sys
import tempfile
import time

from alone import leave_alone

TURNS, WARM_UP, CALLS = 300, 20, 50
GOAL_US = 40


def measure():
    import wandb

    settings = {"project": "benchmark", "mode": "offline", "reinit": "create_new"}
    runs = {"alone": leave_alone(wandb.init(**settings)), "ours": wandb.init(**settings)}
    row = {f"train/metric_{number}": random.random() for number in range(10)}
    turns = [
        {way: cpu(runs[way], row) for way in random.sample(sorted(runs), 2)} for _ in range(TURNS)
    ][WARM_UP:]
    alone = statistics.median(turn["alone"] for turn in turns)
    added = statistics.median(turn["ours"] - turn["alone"] for turn in turns)
    print("one log call of 10 scalars, CPU of the calling thread")
    print(f"  wandb alone    {alone:7.1f} µs")
    print(f"  with the hook  {alone + added:7.1f} µs  +{added:.1f} µs (goal ≤ +{GOAL_US} µs)")
    print(f"  ratio          {1 + added / alone:7.2f}")
    sys.stdout.flush()
    os._exit(0)


def cpu(run, row):
    """Microseconds of one call."""
    time.sleep(0.002)  # wandb's own thread catches up
    started = time.thread_time()
    for _ in range(CALLS):
        run.log(row)
    return (time.thread_time() - started) / CALLS * 1e6


def main():
    with tempfile.TemporaryDirectory() as directory:
        output = {"PRIMUS_LENS_WANDB_OUTPUT_PATH": directory, "WANDB_SILENT": "true"}
        command = [sys.executable, os.path.abspath(__file__), "--measure"]
        subprocess.run(command, cwd=directory, env={**os.environ, **output}, check=True)


if __name__ == "__main__":
    measure() if "--measure" in sys.argv else main()
