# SPDX-License-Identifier: Apache-2.0
"""Records like those of a training, for the exporter's benchmarks."""

import json
import random
from pathlib import Path


def write(root, ranks, lines, keys):
    """`ranks` rank directories below `root`, eight a node; returns how many lines in all."""
    rng = random.Random(0)
    for rank in range(ranks):
        directory = Path(root) / f"node_{rank // 8}" / f"rank_{rank % 8}"
        directory.mkdir(parents=True)
        with (directory / "wandb_metrics.jsonl").open("w") as file:
            for step in range(lines):
                data = {f"train/metric_{key}": rng.random() for key in range(keys)}
                data["_primus_lens_enabled"] = True
                record = {"timestamp": 1.7e9 + step, "step": step, "data": data}
                record["run"] = f"run{rank:05}"
                file.write(json.dumps(record, separators=(",", ":")) + "\n")
    return ranks * lines
