# SPDX-License-Identifier: Apache-2.0
"""Where a process writes below the output path: a directory for each rank."""

from __future__ import annotations

import os
from typing import List

from primus_lens_hook import contract
from primus_lens_hook.identity import Identity


def rank_directories(output_path: str, who: Identity) -> List[str]:
    """The rank's directory, and another for a user who may not write there."""
    node = contract.NODE_DIRECTORY.format(who.node_rank)
    nodes = [node]
    if hasattr(os, "geteuid"):  # not on Windows
        # The first process of a rank makes its directory, for its own user: the next one may be
        # another's, after a run by root or in another container of the pod.
        nodes.append(node + contract.OF_USER.format(os.geteuid()))
    rank = contract.RANK_DIRECTORY.format(who.local_rank)
    return [os.path.join(output_path, node, rank) for node in nodes]
