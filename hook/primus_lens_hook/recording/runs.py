# SPDX-License-Identifier: Apache-2.0
"""`wandb_runs.json`: which runs a process logged to, and how they began and ended.

Replaced when a run is first seen, every few seconds while it logs, and when it finishes. A
failure to write it is one warning and must never stop the records, which matter more.
"""

from __future__ import annotations

import json
import os
import platform
import socket
import sys
import time
from collections.abc import Mapping
from typing import Any, Dict, Optional

from primus_lens_hook import __version__, contract
from primus_lens_hook.identity import Identity
from primus_lens_hook.recording import jsonfile
from primus_lens_hook.warn_once import warn_once

KEPT = 100  # runs per file; a sweep goes through thousands in one process
TEXTS = ("project", "entity", "name", "group", "job_type")


class Runs:
    """The runs of one process in one rank directory, newest last."""

    def __init__(self, directory: str, owner: str, identity: Identity) -> None:
        name = contract.RUNS_STEM + owner + contract.RUNS_SUFFIX
        self._path = os.path.join(directory, name)
        self._identity = identity
        self._runs: Dict[str, Dict[str, Any]] = _load(self._path)

    def begin(self, run_id: str, run: Any) -> None:
        """Note a run that logs for the first time in this process."""
        # Dicts keep the order of insertion, not of update: a resumed run has to be taken out to
        # become the newest again, or the limit below would drop it while it logs.
        self._runs.pop(run_id, None)
        self._runs[run_id] = {
            **describe(run),
            "start": time.time(),
            "finish": None,
            "exit_code": None,
            "lines_lost": 0,
            "step_fix": None,
            "global_rank": self._identity.global_rank,
            "world_size": self._identity.world_size,
            "host": socket.gethostname(),
            "pid": os.getpid(),
            "hook": __version__,
            "wandb": getattr(sys.modules.get("wandb"), "__version__", None),
            "python": platform.python_version(),
        }
        for oldest in list(self._runs)[:-KEPT]:
            del self._runs[oldest]
        self._save()

    def progress(self, step_fix: Mapping[str, Optional[Dict[str, int]]], lines_lost: int) -> None:
        """Note how far runs have come: the step fix's counters by run id, the lines lost."""
        for run_id, counts in step_fix.items():
            if run_id in self._runs:
                self._runs[run_id].update(step_fix=counts, lines_lost=lines_lost)
        self._save()

    def finish(
        self,
        run_id: str,
        run: Any,
        exit_code: Optional[int],
        lines_lost: int,
        step_fix: Optional[Dict[str, int]],
    ) -> None:
        """Note the end of a run that `begin` was called for."""
        # `finish` and the exit both come here, in either order; the first has the true time.
        entry = self._runs.get(run_id)
        if entry is None or entry["finish"] is not None:
            return
        entry.update(
            # Once more: scripts set run.name and run.tags after wandb.init.
            describe(run),
            finish=time.time(),
            exit_code=exit_code,
            lines_lost=lines_lost,
            step_fix=step_fix,
        )
        self._save()

    def _save(self) -> None:
        try:
            jsonfile.replace(self._path, self._runs)
        except OSError as error:
            warn_once("runs", "cannot write %s: %s" % (self._path, error.strerror or error))


def describe(run: Any) -> Dict[str, Any]:
    """What W&B knows the run by."""
    # A disabled run of an old wandb answers every attribute with a dummy object, which is
    # neither None nor JSON: whatever is not plainly text counts as unknown.
    known: Dict[str, Any] = {name: _text(run, name) for name in TEXTS}
    tags = _attribute(run, "tags")
    known["tags"] = [str(tag) for tag in tags] if isinstance(tags, (tuple, list)) else []
    known["mode"] = _text(_attribute(run, "settings"), "mode")
    return known


def _text(owner: Any, name: str) -> Optional[str]:
    value = _attribute(owner, name)
    return value if type(value) is str and value else None


def _attribute(owner: Any, name: str) -> Any:
    try:
        return getattr(owner, name, None)
    except Exception:  # wandb's properties raise on finished and on detached runs
        return None


def _load(path: str) -> Dict[str, Dict[str, Any]]:
    # A process before this one, in a restarted container, has written its runs here: a process
    # that does not know them would delete them. The file is the user's to spoil.
    try:
        with open(path) as file:
            runs = json.load(file)
    except (OSError, ValueError):
        return {}
    return runs if isinstance(runs, dict) else {}
