# SPDX-License-Identifier: Apache-2.0
"""`wandb_hook.json`: what became of the hook in the newest process of this rank.

Written when wandb is imported, and again if a fault switches the hook off, and when the
sampler has found or lost a source, so that an
exporter or a person can tell "never loaded" from "loaded and gave up". Best effort: it
must never complain, since the first record will say what is wrong with the directory.
"""

from __future__ import annotations

import os
import platform
import sys
import time
from typing import Any, Mapping

from primus_lens_hook import __version__, contract
from primus_lens_hook.recording import jsonfile

PATCHED = "patched"
DECLINED = "declined"
FAILED = "failed"


def report(directory: str, outcome: str, reason: str, system: Mapping[str, Any]) -> None:
    """Replace the outcome record in the rank directory; `system` is what the sampler told."""
    record = {
        "timestamp": time.time(),
        "outcome": outcome,
        "reason": reason,
        "pid": os.getpid(),
        "hook": __version__,
        "wandb": getattr(sys.modules.get("wandb"), "__version__", None),
        "python": platform.python_version(),
        **system,
    }
    try:
        os.makedirs(directory, exist_ok=True)
        jsonfile.replace(os.path.join(directory, contract.STATUS_FILE), record)
    except Exception:  # a path of the config file may be none at all (ValueError)
        return
