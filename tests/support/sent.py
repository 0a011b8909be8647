# SPDX-License-Identifier: Apache-2.0
"""Records of many ranks, and what a receiver has to have of them in the end."""

import asyncio
import functools
import json
import random

from support.serving import record

ALL = '{__name__=~"primus_lens_wandb_(metric|step)"}'


def asynchronous(test):
    @functools.wraps(test)
    def run(*arguments, **keywords):
        asyncio.run(test(*arguments, **keywords))

    return run


def write(root, ranks, lines, keys, start, seed=0, interval=0.1):
    """Files as the hook writes them; returns their number of samples."""
    rng = random.Random(seed)
    for rank in range(ranks):
        directory = root / f"node_{rank // 8}" / f"rank_{rank % 8}"
        directory.mkdir(parents=True, exist_ok=True)
        with (directory / "wandb_metrics.jsonl").open("ab") as file:
            for step in range(lines):
                data = {f"train/metric_{key}": rng.random() for key in range(keys)}
                file.write(record(step, f"run{rank}", start + step * interval, **data))
    return ranks * lines * (keys + 1)


def expected(root):
    """{(node, rank, run, key): [(milliseconds, value), …]} of such files."""
    samples = {}
    for path in root.glob("node_*/rank_*/*.jsonl"):
        node, rank = path.parts[-3][5:], path.parts[-2][5:]
        for line in map(json.loads, path.read_text().splitlines()):
            for key, value in [("", line["step"]), *line["data"].items()]:
                series = samples.setdefault((node, rank, line["run"], key), [])
                series.append((round(line["timestamp"] * 1000), float(value)))
    return samples


def received(prometheus, at):
    samples = {}
    for labels, values in prometheus.samples(ALL, at).items():
        names = dict(labels)
        key = [names.get(name, "") for name in ("node_rank", "local_rank", "run_id", "key")]
        samples[tuple(key)] = [(time, float(value)) for time, value in values]
    return samples


def log(rank, *lines):
    with (rank / "wandb_metrics.jsonl").open("ab") as file:
        file.write(b"".join(lines))
