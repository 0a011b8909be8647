# SPDX-License-Identifier: Apache-2.0
"""What a real training under the real hook writes, to be played again with other times."""

from typing import NamedTuple

from support import training

ROWS = 800
SCRIPT = f"""
    import math, random, time, wandb
    import primus_lens_hook.system.sampler as sampler
    sampler.INTERVAL = 0.2
    chance = random.Random(7)
    wandb.init(project="llm", entity="lab", group="sweep", name="first", job_type="pretrain")
    for i in range({ROWS}):
        loss = 2 * math.exp(-i / 300) + 0.3 + chance.gauss(0, 0.02)
        row = {{
            "train/loss": loss, "train/learning_rate": 1e-3, "train/grad_norm": 1 + loss / 9,
            "train/epoch": i / 100, "train/train_samples_per_second": 64.0,
            "train/train_tokens_per_second": 64 * 4096.0,
            "lm loss": loss, "learning-rate": 1e-3, "grad-norm": 1 + loss / 9,
            "batch-size": 128, "iteration-time": 1.5, "flops_per_step": 4e14,
            "loss": loss, "lr": 1e-3, "grad_norm": 1 + loss / 9, "throughput(tps)": 7000.0,
            "memory": {{"max_active(GiB)": 60.5}}, "mfu(%)": 41.0,
            "loss/train/total": loss, "lr-Adam/group0": 1e-3, "l2_norm/grad/global": 1.0,
            "throughput/samples_per_sec": 64.0, "throughput/tokens_per_sec": 64 * 4096.0,
            "throughput/device/tokens_per_sec": 7000.0, "throughput/device/mfu": 0.4,
            'odd "key"\\\\d+': float(i % 7), "it's $1": 1.0, "note": "text",
        }}
        if i % 20 == 19:
            row["eval/loss"] = loss + 0.1
        wandb.log(row, step=i)
    time.sleep(1.5)
    wandb.finish()
"""
ENVIRON = {"PRIMUS_LENS_WANDB_ENHANCE_METRICS": "true", "RANK": "0", "WORLD_SIZE": "4"}


class Recording(NamedTuple):
    """`rows` and `sample` are lines, `run` is an entry of `wandb_runs.json`, as they were."""

    rows: list
    sample: dict
    run: dict


def record(directory):
    done = training.run(directory, SCRIPT, env=ENVIRON)
    assert done.status == 0, done.stderr
    rows = [line for line in done.lines if "sample" not in line]
    assert len(rows) == ROWS
    *_, sample = (line for line in done.lines if "sample" in line)
    (run,) = done.runs.values()
    return Recording(rows, sample, run)
