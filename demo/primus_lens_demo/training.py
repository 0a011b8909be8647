# SPDX-License-Identifier: Apache-2.0
"""Two nodes of two ranks each, as torchrun would start them, on one machine."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

from primus_lens_hook import contract

from primus_lens_demo.processes import DemoError, running, tail

NODES = 2
RANKS_PER_NODE = 2
WORLD_SIZE = NODES * RANKS_PER_NODE


class Rank(NamedTuple):
    """One training process and where it prints."""

    process: subprocess.Popen[bytes]
    log: Path

    def finished(self) -> bool:
        """Whether it has ended well. Raises DemoError if it has ended otherwise."""
        status = self.process.poll()
        if status:
            text = f"{self.log.stem} ended with status {status}; it printed:\n{tail(self.log)}"
            raise DemoError(text)
        return status is not None


def start(
    stack: contextlib.ExitStack, script: Path, steps: int, records: Path, logs: Path
) -> list[Rank]:
    """Start every rank; they end with the stack if not before."""
    command: list[str | Path] = [sys.executable, script.resolve(), "--steps", str(steps)]
    ranks = []
    for rank in range(WORLD_SIZE):
        log = logs / f"rank-{rank}.log"
        wandb_directory = logs / f"wandb-{rank}"
        wandb_directory.mkdir()
        environ = environment(rank, records, wandb_directory)
        process = stack.enter_context(running(command, log, environ))
        ranks.append(Rank(process, log))
    return ranks


def environment(rank: int, records: Path, wandb_directory: Path) -> dict[str, str]:
    """What torchrun sets, one variable of ours, and W&B without an account."""
    return {
        "RANK": str(rank),
        "LOCAL_RANK": str(rank % RANKS_PER_NODE),
        "GROUP_RANK": str(rank // RANKS_PER_NODE),
        "WORLD_SIZE": str(WORLD_SIZE),
        "LOCAL_WORLD_SIZE": str(RANKS_PER_NODE),
        contract.ENV_OUTPUT_PATH: str(records),
        "WANDB_MODE": "offline",
        "WANDB_RUN_ID": "demo",  # one run of four ranks
        "WANDB_DIR": str(wandb_directory),
        "WANDB_SILENT": "true",
        "OPENBLAS_NUM_THREADS": "1",
    }


def lines_written(records: Path) -> int:
    """How many log calls have reached the disk so far."""
    pattern = f"*/*/{contract.METRICS_STEM}*{contract.METRICS_SUFFIX}"
    return sum(path.read_bytes().count(b"\n") for path in records.glob(pattern))
