# SPDX-License-Identifier: Apache-2.0
"""CPU of one `wandb.log` of ten scalars: wandb alone, and with JSONL written by the hook.

Both are measured in one process, in short turns, on the newest wandb offline; the calling
thread's CPU is what the training pays. A noisy machine moves both: the quartile of the
quiet turns is compared, not the mean.
"""

import os
import random
import statistics
import subprocess
import sys
import tempfile
import time

TURNS, CALLS = 120, 100
GOAL_US = 40


def measure():
    import wandb

    run = wandb.init(project="benchmark", mode="offline")
    row = {f"train/metric_{number}": random.random() for number in range(10)}
    hooked, native = run.log, type(run).log.primus_lens_native
    calls = {"wandb alone": lambda: native(run, row), "with the hook": lambda: hooked(row)}
    turns = {name: [] for name in calls}
    for turn in range(TURNS):
        for name, call in calls.items():
            started = time.thread_time()
            for _ in range(CALLS):
                call()
            if turn:  # the first one warms up
                turns[name].append((time.thread_time() - started) / CALLS * 1e6)
            time.sleep(0.02)  # wandb's own thread catches up
    alone, ours = (statistics.quantiles(each)[0] for each in turns.values())
    print("one log call of 10 scalars, CPU of the calling thread (lower quartile)")
    print(f"  wandb alone    {alone:7.1f} µs")
    print(f"  with the hook  {ours:7.1f} µs  +{ours - alone:.1f} µs (goal ≤ +{GOAL_US} µs)")
    print(f"  ratio          {ours / alone:7.2f}")
    sys.stdout.flush()
    os._exit(0)


def main():
    with tempfile.TemporaryDirectory() as directory:
        output = {"PRIMUS_LENS_WANDB_OUTPUT_PATH": directory, "WANDB_SILENT": "true"}
        command = [sys.executable, os.path.abspath(__file__), "--measure"]
        subprocess.run(command, cwd=directory, env={**os.environ, **output}, check=True)


if __name__ == "__main__":
    measure() if "--measure" in sys.argv else main()
