# SPDX-License-Identifier: Apache-2.0
"""Which GPUs a variable such as CUDA_VISIBLE_DEVICES leaves to this process, and in which order."""

from __future__ import annotations

from typing import Callable, Dict, List, Optional, TypeVar

Gpu = TypeVar("Gpu")
PREFIXES = ("GPU-", "MIG-")


def chosen(wanted: str, named: Callable[[str], Optional[Gpu]]) -> List[Gpu]:
    """The GPUs of a list of indices and UUIDs, of which the first that names none ends the list.

    One that is named twice makes the list invalid, as CUDA and PyTorch have it.
    """
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
    if not entry.startswith(PREFIXES):
        return None
    found = [gpu for uuid, gpu in gpus.items() if uuid.startswith(entry)]
    return found[0] if len(found) == 1 else None
