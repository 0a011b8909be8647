# SPDX-License-Identifier: Apache-2.0
"""The ranks of this process, from the environment variables of its launcher.

An empty or non-numeric variable counts as absent. It must never raise, nor be read before the
first log call: spawned workers set their variables themselves.
"""

from __future__ import annotations

from typing import Mapping, NamedTuple, Optional, Sequence

# In order of trust. SLURM_NODEID wins for the node, but LOCAL_RANK wins for the process:
# under `srun torchrun` all workers of a node share one SLURM_LOCALID.
NODE_RANK = ("SLURM_NODEID", "PET_NODE_RANK", "NODE_RANK", "GROUP_RANK")
# Last of all: a Job may be indexed for another reason, and torchrun in its pods knows better.
COMPLETION_INDEX = ("JOB_COMPLETION_INDEX",)
LOCAL_RANK = (
    "LOCAL_RANK",
    "SLURM_LOCALID",
    "OMPI_COMM_WORLD_LOCAL_RANK",
    "MPI_LOCALRANKID",
    "MV2_COMM_WORLD_LOCAL_RANK",
)
GLOBAL_RANK = ("RANK", "SLURM_PROCID", "OMPI_COMM_WORLD_RANK", "PMI_RANK")
WORLD_SIZE = ("WORLD_SIZE", "SLURM_NTASKS", "OMPI_COMM_WORLD_SIZE", "PMI_SIZE")
MPI_LOCAL_SIZE = (
    "OMPI_COMM_WORLD_LOCAL_SIZE",
    "MPI_LOCALNRANKS",
    "MV2_COMM_WORLD_LOCAL_SIZE",
)


class Identity(NamedTuple):
    """Ranks of one process, all zero-based; `world_size` counts processes."""

    node_rank: int
    local_rank: int
    global_rank: Optional[int]
    world_size: Optional[int]


def read(environ: Mapping[str, str]) -> Identity:
    """Work out the ranks from a launcher's variables. Never raises."""
    global_rank = _first(environ, GLOBAL_RANK)
    node_rank = _first(environ, NODE_RANK)
    if node_rank is None:
        node_rank = _mpi_node(environ, global_rank)
    if node_rank is None:
        node_rank = _first(environ, COMPLETION_INDEX)
    return Identity(
        node_rank=node_rank or 0,
        local_rank=_first(environ, LOCAL_RANK) or 0,
        global_rank=global_rank,
        world_size=_first(environ, WORLD_SIZE),
    )


def _mpi_node(environ: Mapping[str, str], global_rank: Optional[int]) -> Optional[int]:
    """MPI names no node; with ranks placed node by node it follows from the sizes."""
    # Wrong for ranks that are dealt out round-robin (`--map-by node`): then two nodes may write
    # into one directory, with a file for each process all the same.
    local_size = _first(environ, MPI_LOCAL_SIZE)
    if global_rank is None or not local_size:
        return None
    return global_rank // local_size


def _first(environ: Mapping[str, str], names: Sequence[str]) -> Optional[int]:
    for name in names:
        text = environ.get(name, "").strip()
        # isdigit alone lets superscripts through, which int refuses. Ten digits are no rank but
        # some id, and it would become the name of a directory.
        if text.isascii() and text.isdigit() and len(text) < 10:
            return int(text)
    return None
