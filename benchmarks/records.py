# SPDX-License-Identifier: Apache-2.0
"""Records like those of a training, for the exporter's benchmarks."""

import random
import struct
from pathlib import Path

import orjson

FILE = "wandb_metrics.jsonl"


def double(rng):
    """A number that Python has computed."""
    return rng.random()


def float32(rng):
    """What `tensor.item()` gives: a number that was a float32."""
    return struct.unpack("f", struct.pack("f", rng.random()))[0]


def constant(_):
    """A value that stays, as of a learning rate on its plateau."""
    return 0.0003


def line(rng, step, timestamp, keys, run, value=double):
    """One line with a value of each key."""
    data = {f"train/metric_{key}": value(rng) for key in range(keys)}
    data["_primus_lens_enabled"] = True
    return orjson.dumps({"timestamp": timestamp, "step": step, "data": data, "run": run}) + b"\n"


def write(root, ranks, lines, keys, value=double, seconds=1.0):
    """`ranks` rank directories below `root`, eight a node; returns how many lines in all.

    `seconds` are between two lines; a log call is some milliseconds early or late.
    """
    rng = random.Random(0)
    for rank in range(ranks):
        directory = Path(root) / f"node_{rank // 8}" / f"rank_{rank % 8}"
        directory.mkdir(parents=True)
        with (directory / FILE).open("wb") as file:
            for step in range(lines):
                at = round(1.7e9 + step * seconds + rng.random() * 0.01, 3)
                file.write(line(rng, step, at, keys, f"run{rank:05}", value))
    return ranks * lines
