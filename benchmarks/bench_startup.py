# SPDX-License-Identifier: Apache-2.0
"""What the hook adds to every Python start in which wandb is not imported.

Instructions are counted by valgrind (the same every time); the time is the median of many
starts, taken in turns. The peer is an interpreter without the package.
"""

import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

STARTS = 100
GOAL_INSTRUCTIONS, GOAL_MS = 2e6, 2.0
ROOT = Path(__file__).parent.parent


def instructions(python):
    command = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null"]
    done = subprocess.run(
        [*command, python, "-c", "pass"], capture_output=True, text=True, check=True
    )
    return int(re.search(r"Collected : (\d+)", done.stderr)[1])


def seconds(python):
    started = time.perf_counter()
    subprocess.run([python, "-c", "pass"], check=True)
    return time.perf_counter() - started


def main():
    os.environ.pop("PYTHONPATH", None)
    with tempfile.TemporaryDirectory() as directory:
        pythons = {}
        for name in ("without", "with"):
            subprocess.run([sys.executable, "-m", "venv", f"{directory}/{name}"], check=True)
            pythons[name] = f"{directory}/{name}/bin/python"
        pip = [pythons["with"], "-m", "pip", "install", "--quiet", "--no-deps", str(ROOT)]
        subprocess.run(pip, check=True)
        for python in pythons.values():
            seconds(python)  # writes the .pyc files
        times = {name: [] for name in pythons}
        for _ in range(STARTS):
            for name, python in pythons.items():
                times[name].append(seconds(python))
        print("a Python start without importing wandb")
        ms = {name: statistics.median(each) * 1e3 for name, each in times.items()}
        added = ms["with"] - ms["without"]
        print(f"  without the hook  {ms['without']:8.2f} ms")
        print(f"  with the hook     {ms['with']:8.2f} ms  +{added:.2f} ms (goal ≤ +{GOAL_MS} ms)")
        if shutil.which("valgrind") is None:
            print("  instructions: valgrind is not installed")
            return
        count = {name: instructions(python) / 1e6 for name, python in pythons.items()}
        added = count["with"] - count["without"]
        print(f"  without the hook  {count['without']:8.2f} M instructions")
        goal = f"goal ≤ +{GOAL_INSTRUCTIONS / 1e6:.0f} M"
        print(f"  with the hook     {count['with']:8.2f} M instructions  +{added:.2f} M ({goal})")
        print(f"  ratio             {count['with'] / count['without']:8.3f}")


if __name__ == "__main__":
    main()
