# SPDX-License-Identifier: Apache-2.0
"""`wandb_hook.json`: the hook's status in the newest process of this rank.

Written when wandb is imported, when an internal error switches the hook off, when a part finds
that it has to leave this wandb alone, and when system metrics change their sources: it tells
"never loaded" from "loaded and gave up". It must never warn, since the first record will say
what is wrong with the directory.
"""

from __future__ import annotations

import os
import platform
import sys
import time
from typing import Any, Dict, Mapping, Sequence

from primus_lens_hook import __version__, contract
from primus_lens_hook.interruption import is_interruption
from primus_lens_hook.recording import jsonfile

PATCHED = "patched"
DECLINED = "declined"
FAILED = "failed"


def describe(result: str, reason: str, more: Mapping[str, Any]) -> Dict[str, Any]:
    """The status of this process; `more` are members of which others know."""
    return {
        "timestamp": time.time(),
        "outcome": result,  # a field of a file that others read: its name is final
        "reason": reason,
        "pid": os.getpid(),
        "hook": __version__,
        # Not `import wandb`: its own import is under way, further up this stack.
        "wandb": getattr(sys.modules.get("wandb"), "__version__", None),
        "python": platform.python_version(),
        **more,
    }


def write(directories: Sequence[str], record: Mapping[str, Any]) -> None:
    """Replace the status in the first rank directory that lets us. Never raises."""
    for directory in directories:
        try:
            os.makedirs(directory, exist_ok=True)
            jsonfile.replace(os.path.join(directory, contract.STATUS_FILE), record)
        except Exception as error:  # a path of the config file may be none at all (ValueError)
            if is_interruption(error):
                raise
            continue
        return
