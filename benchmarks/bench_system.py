# SPDX-License-Identifier: Apache-2.0
"""What sampling the system costs a training: CPU of the sampler's thread, and memory.

Trainings on the newest wandb offline, each with so many processes below it as it might have
to load data. The sampler runs faster than it does in earnest, and its CPU for one sample is
set against the usual interval. The memory is what the process holds more than one of which
the sampler is off; pynvml is loaded where it is installed, also if there is no GPU.
"""

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time

SAMPLES, FAST = 100, 0.02
CHILDREN, TURNS = (0, 16), 3
GOAL_PERCENT, GOAL_MB = 0.2, 6.0
ENHANCE = "PRIMUS_LENS_WANDB_ENHANCE_METRICS"


def measure(way, children):
    """One training; prints CPU seconds of one sample, and resident bytes."""
    import wandb

    if way == "proc":
        sys.modules["psutil"] = None
    sleepers = [subprocess.Popen([shutil.which("sleep"), "600"]) for _ in range(children)]
    run = wandb.init(project="benchmark", mode="offline")
    cpu = 0.0
    if way != "off":
        from primus_lens_hook.system import sampler, vendored

        usual, sampler.INTERVAL = sampler.INTERVAL, FAST
        run.log({"loss": 0.5})
        (thread,) = [each for each in threading.enumerate() if each.name == "primus-lens-sampler"]
        clock = time.pthread_getcpuclockid(thread.ident)
        wait_for(20)  # the sources have been found
        if way == "psutil":
            vendored.load("pynvml")
        (before, started), (after, ended) = (
            (wait_for(number), time.clock_gettime(clock)) for number in (20, SAMPLES)
        )
        cpu = 100 * (ended - started) / (after - before) / usual
    else:
        run.log({"loss": 0.5})
        time.sleep(FAST * SAMPLES)
    print(cpu, resident())
    sys.stdout.flush()
    for sleeper in sleepers:
        sleeper.kill()
    os._exit(0)


def wait_for(number):
    """Wait until there are so many samples; returns how many there are."""
    path = os.path.join(os.environ["PRIMUS_LENS_WANDB_OUTPUT_PATH"], "node_0", "rank_0")
    while True:
        with open(os.path.join(path, "wandb_metrics.jsonl")) as lines:
            found = sum('"sample":true' in line for line in lines)
        if found >= number:
            return found
        time.sleep(FAST)


def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def training(way, children):
    """Percent of a core, and resident megabytes."""
    with tempfile.TemporaryDirectory() as directory:
        environ = {"PRIMUS_LENS_WANDB_OUTPUT_PATH": directory, "WANDB_SILENT": "true"}
        environ[ENHANCE] = "false" if way == "off" else "true"
        command = [sys.executable, os.path.abspath(__file__), way, str(children)]
        done = subprocess.run(
            command,
            cwd=directory,
            env={**os.environ, **environ},
            check=True,
            stdout=subprocess.PIPE,
        )
    percent, memory = map(float, done.stdout.split())
    return percent, memory / 1e6


def main():
    print("samples of the system, every 5 s")
    off = statistics.median(training("off", 0)[1] for _ in range(TURNS))
    for way in ("psutil", "proc"):
        for children in CHILDREN:
            turns = [training(way, children) for _ in range(TURNS)]
            percent, memory = map(statistics.median, zip(*turns, strict=True))
            print(
                f"  by {way:6}, {children:2} children"
                f"  {percent:6.3f} % of a core (goal ≤ {GOAL_PERCENT} %)"
                f"  {memory - off:+5.1f} MB (goal ≤ +{GOAL_MB:.0f} MB)"
            )


if __name__ == "__main__":
    measure(sys.argv[1], int(sys.argv[2])) if len(sys.argv) > 1 else main()
