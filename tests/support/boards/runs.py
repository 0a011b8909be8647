# SPDX-License-Identifier: Apache-2.0
"""The trainings of a world: which there are, and what is wrong with each.

Time is told in minutes that are left until the past is over, negative after that.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

STEPS = 10  # of a row, one each 15 seconds
HUGGING_FACE = (
    "train/loss", "train/learning_rate", "train/grad_norm", "train/epoch", "eval/loss",
    "train/train_samples_per_second", "train/train_tokens_per_second", "note",
)  # fmt: skip
MEGATRON = (
    "lm loss", "learning-rate", "grad-norm", "batch-size", "iteration-time", "flops_per_step",
)  # fmt: skip
TORCHTITAN = "loss", "lr", "grad_norm", "throughput(tps)", "memory.max_active(GiB)", "mfu(%)"
COMPOSER = (
    "loss/train/total", "lr-Adam/group0", "l2_norm/grad/global", "throughput/samples_per_sec",
    "throughput/tokens_per_sec", "throughput/device/tokens_per_sec", "throughput/device/mfu",
)  # fmt: skip
ODD = 'odd "key"\\d+', "it's $1"


def same(data, rank, left):
    return data


def steady(rank, left):
    return STEPS


@dataclasses.dataclass(frozen=True)
class Run:
    """One W&B run."""

    id: str
    """Its pods are called after it too."""
    namespace: str = "research"
    nodes: tuple[str, ...] = ("a",)
    """Of each of its pods; each has the same number of ranks."""
    ranks: int = 4
    """Of each pod."""
    keys: tuple[str, ...] = HUGGING_FACE
    gpus: str = ""
    """`nvidia` or `amd`; without, there are no samples of the system."""
    change: Callable[[dict, Any, float], dict | None] = same
    """What becomes of a row; None: it is never logged."""
    speed: Callable[[Any, float], float] = steady
    """Steps of a row."""
    begins: float = 999
    ends: float = -999
    finished: bool = False
    conflicts: float = 0.0
    """Of each log call."""
    logged: str = ""
    """The id that its records have, if it is another one."""
    within: str = ""
    """The run whose pods, and place in them, it has taken over."""


def nan(data, rank, left):
    return data | {"lm loss": "NaN"} if left < 10 and rank.local % 2 else data


def spike(data, rank, left):
    return data | {"loss": data["loss"] * 50} if left < 2.25 else data


def stalled(data, rank, left):
    return data if left > 15 else None


def missing(data, rank, left):
    return data if left > 15 or rank.node == 0 else None


def restarting(data, rank, left):
    return None if 24.25 < left < 26 else data


def wide(data, rank, left):
    return data | {f"layer.{number}/norm": 1.0 for number in range(60)}


def straggling(rank, left):
    return STEPS * 0.4 if left < 30 and (rank.node, rank.local) == (1, 1) else STEPS


def slower(rank, left):
    return STEPS * 0.2 if left < 20 else STEPS


def resumed(rank, left):
    """Back to its checkpoint after a restart."""
    return -20 * STEPS if 24 < left <= 24.25 else STEPS


CLEAN = (
    Run("healthy", nodes=("a", "b"), ranks=2, gpus="nvidia"),
    Run("resumed", nodes=("b",), keys=(*HUGGING_FACE, *ODD), speed=resumed, change=restarting),
    Run("killed", ends=25),
    Run("restarted", within="killed", begins=24),
    Run("odd", namespace="vision", keys=(*ODD, "loss"), logged='a"b\\d|.'),
    Run("finished", namespace="vision", nodes=("b",), ends=30, finished=True),
)
FAULTY = (
    Run("nan", keys=MEGATRON, change=nan),
    Run("spike", keys=TORCHTITAN, change=spike),
    Run("stalled", nodes=("b",), change=stalled),
    Run("straggler", nodes=("a", "b"), ranks=2, speed=straggling),
    Run("missing", nodes=("a", "b"), ranks=2, change=missing),
    Run("slow", namespace="vision", gpus="amd", keys=TORCHTITAN, speed=slower),
    Run("idle", namespace="vision", gpus="nvidia", keys=MEGATRON),
    Run("conflicts", nodes=("b",), keys=COMPOSER, conflicts=0.3),
    Run("wide", namespace="vision", nodes=("b",), change=wide),
)
