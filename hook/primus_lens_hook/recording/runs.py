# SPDX-License-Identifier: Apache-2.0
"""`wandb_runs.json`: which runs a process logged to, and how they began and ended.

Replaced when a run is first seen, every few seconds while it logs, and when it finishes. A
failure to write it is one warning and must never stop the records, which matter more.
"""

from __future__ import annotations

import os
import platform
import socket
import sys
import time
from collections.abc import Mapping
from typing import Any, Callable, Dict, Optional

from primus_lens_hook import __version__
from primus_lens_hook.identity import Identity
from primus_lens_hook.interruption import is_interruption
from primus_lens_hook.recording import jsonfile
from primus_lens_hook.recording.line_numbers import runs_path
from primus_lens_hook.recording.writer import Writer
from primus_lens_hook.warn_once import warn_once

KEPT = 100  # runs per file; a sweep goes through thousands in one process
LONGEST = 1_000  # characters of a text, and tags: the file is replaced every few seconds
Submit = Callable[..., bool]  # has file work done: at once, or later in a thread
TEXTS = ("project", "entity", "name", "group", "job_type")


class Runs:
    """The runs of one process in one rank directory, newest last."""

    def __init__(self, writer: Writer, identity: Identity, submit: Submit) -> None:
        self._writer = writer  # knows the directory, once it has opened a file there
        self._identity = identity
        self._submit = submit
        self._runs: Dict[str, Dict[str, Any]] = {}
        # Of processes before this one, in a restarted container: a process that does not know
        # them would delete them. Read with the first write, as the file may be slow to read.
        self._earlier: Dict[str, Dict[str, Any]] = {}
        self._path = ""  # of what they were read from
        self._newest: Dict[str, Dict[str, Any]] = {}
        self._is_queued = False

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
        self._drop()
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

    def _drop(self) -> None:
        # Finished ones first: a reader takes a run that is no longer listed for one that has ended.
        by_use = sorted(self._runs, key=lambda run_id: self._runs[run_id]["finish"] is None)
        for run_id in by_use[: max(0, len(by_use) - KEPT)]:
            del self._runs[run_id]

    def _save(self) -> None:
        # A copy: whoever writes it may do so later, in another thread. Only the newest counts.
        self._newest = {run_id: dict(run) for run_id, run in self._runs.items()}
        if not self._is_queued:
            is_queued = False
            try:
                self._is_queued = True
                is_queued = self._submit(self._write)
            finally:  # a signal handler may raise before the writing begins
                if not is_queued:
                    self._is_queued = False

    def _write(self) -> None:
        """Merge with what is there and replace the file; this is file work."""
        self._is_queued = False
        # Only when the first line is written it is known which process of the rank this is. Two
        # of them that write one file would lose each other's runs.
        if self._writer.directory is None:
            return
        path = runs_path(self._writer.directory, self._writer.owner)
        try:
            if path != self._path:
                found = jsonfile.load(path)
                found = found if isinstance(found, dict) else {}
                self._earlier = {i: r for i, r in found.items() if isinstance(r, dict)}
                self._path = path
            runs = self._newest
            merged = {**{i: r for i, r in self._earlier.items() if i not in runs}, **runs}
            kept = {i: self._counted(i, merged[i]) for i in list(merged)[-KEPT:]}
            jsonfile.replace(path, kept)
        except OSError as error:
            if is_interruption(error):
                raise
            warn_once("runs", "cannot write %s: %s" % (path, error.strerror or error))

    def _counted(self, run_id: str, entry: Dict[str, Any]) -> Dict[str, Any]:
        """The entry with the number of the run's newest line, from which a resumed run goes on."""
        records = self._writer.numbers.newest.get(run_id)
        return entry if records is None else {**entry, "records": records}


def describe(run: Any) -> Dict[str, Any]:
    """What W&B knows the run by."""
    # A disabled run of an old wandb answers every attribute with a dummy object, which is
    # neither None nor JSON: whatever is not plainly text counts as unknown.
    known: Dict[str, Any] = {name: _text(run, name) for name in TEXTS}
    tags = attribute(run, "tags")
    tags = tags[:LONGEST] if isinstance(tags, (tuple, list)) else []
    known["tags"] = [str(tag)[:LONGEST] for tag in tags]
    # Not run.settings, a deep copy: it takes milliseconds, and what a signal handler raises in it
    # is swallowed by copyreg.
    known["mode"] = _text(attribute(run, "_settings"), "mode")
    return known


def _text(owner: Any, name: str) -> Optional[str]:
    value = attribute(owner, name)
    return value[:LONGEST] if type(value) is str and value else None


def attribute(owner: Any, name: str) -> Any:
    """An attribute of wandb's, or None. Never raises."""
    try:
        return getattr(owner, name, None)
    except Exception as error:  # wandb's properties raise on finished and on detached runs
        if is_interruption(error):
            raise
        return None
