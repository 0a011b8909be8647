# SPDX-License-Identifier: Apache-2.0
"""Which GPUs a variable such as CUDA_VISIBLE_DEVICES leaves to this process, in which order.

It must never number GPUs otherwise than the training's own library does.
"""

from __future__ import annotations

from typing import Callable, Dict, List, Optional, TypeVar

Gpu = TypeVar("Gpu")
PREFIXES = ("GPU-", "MIG-")


def chosen(wanted: str, named: Callable[[str], Optional[Gpu]]) -> List[Gpu]:
    """The GPUs of a list of indices and UUIDs, in its order."""
    # Two rules of CUDA that a reader of the list would not guess: the first entry that names no
    # GPU ends it, those behind are not visible (`0,-1,1` is one GPU); and one that is named twice
    # makes the whole list invalid, as PyTorch has it too.
    gpus: List[Gpu] = []
    for entry in wanted.split(","):
        gpu = named(entry.strip())
        if gpu is None:
            break
        if gpu in gpus:
            return []
        gpus.append(gpu)
    return gpus


def by_uuid(entry: str, gpus: Dict[str, Gpu]) -> Optional[Gpu]:
    """The one GPU whose UUID this is, or begins with this."""
    # Abbreviated UUIDs are allowed where they name one device. Without the prefix, an index such
    # as `0` would be looked up as one.
    if not entry.startswith(PREFIXES):
        return None
    found = [gpu for uuid, gpu in gpus.items() if uuid.startswith(entry)]
    return found[0] if len(found) == 1 else None
