# SPDX-License-Identifier: Apache-2.0
"""Bounds what a rank's directory holds, whatever the number of processes, runs and restarts.

It deletes the oldest of our files that no process holds. It must never delete a file of another
name, nor that of a living process where the file system has locks.
"""

from __future__ import annotations

import collections
import os
import re
import stat
import time
from typing import Callable, Iterator, List, NamedTuple, Optional, Pattern

from primus_lens_hook import contract
from primus_lens_hook.interruption import is_interruption, suppress
from primus_lens_hook.recording.own_file import delete_unheld, metrics_path

MOST_FILES = 500  # half of what an exporter follows of one pod (--limits.files-per-pod)
UNFINISHED_SECONDS = 60.0  # a JSON file that is not complete by then is a killed process's
_OWNER = r"(?P<owner>(\.p\d+)?)"
METRICS = re.compile(
    re.escape(contract.METRICS_STEM)
    + _OWNER
    + r"(\.(?P<number>\d+))?"
    + re.escape(contract.METRICS_SUFFIX)
)
RUNS = re.compile(re.escape(contract.RUNS_STEM) + _OWNER + re.escape(contract.RUNS_SUFFIX))
# The name that `jsonfile` writes under.
_UNFINISHED = re.compile("(%s|%s)" % (RUNS.pattern, re.escape(contract.STATUS_FILE)) + r"\.\d+")


class File(NamedTuple):
    """One of our files; they sort by their age."""

    modified: float  # Unix seconds
    path: str
    owner: str
    size: int


def set_aside(directory: str, owner: str) -> None:
    """Give the owner's current file the next number. Raises OSError."""
    matches = [METRICS.fullmatch(name) for name in os.listdir(directory)]
    numbers = [int(m["number"]) for m in matches if m and m["number"] and m["owner"] == owner]
    closed = metrics_path(directory, "%s.%d" % (owner, max(numbers, default=0) + 1))
    # Gone already, where a signal handler has raised behind the rename of an earlier attempt.
    with suppress(FileNotFoundError):
        os.rename(metrics_path(directory, owner), closed)


def prune(directory: str, owner: str, most_bytes: int) -> None:
    """Delete until `most_bytes` are left beside the file that `owner` writes.

    What cannot be deleted now is tried with the next segment. Raises OSError where the directory
    cannot be listed.
    """
    names = os.listdir(directory)
    _delete_unfinished(directory, names)
    # Of all processes of the rank, ended ones too: each forked child that has logged leaves files
    # of its own pid. By mtime, since pids and the numbers of two owners have no order.
    metrics = sorted(_files(directory, names, METRICS))
    left = collections.Counter(file.owner for file in metrics)
    runs = {file.owner: file for file in _files(directory, names, RUNS)}
    # Runs without lines: a user has deleted those, or we in an attempt that was cut short.
    for orphan in runs.keys() - left.keys() - {owner}:
        if _has_gone(os.unlink, runs[orphan].path):
            del runs[orphan]
    current = metrics_path(directory, owner)
    rest = [file for file in metrics if file.path != current]
    total = sum(file.size for file in [*rest, *runs.values()])
    count = len(rest) + len(runs)
    for file in rest:
        if total <= most_bytes and count <= MOST_FILES:
            return
        if not _has_gone(delete_unheld, file.path):
            continue
        total, count = total - file.size, count - 1
        left[file.owner] -= 1
        if not left[file.owner] and file.owner in runs:
            total, count = total - runs[file.owner].size, count - 1
            _has_gone(os.unlink, runs.pop(file.owner).path)


def _delete_unfinished(directory: str, names: List[str]) -> None:
    for file in _files(directory, names, _UNFINISHED):
        if time.time() - file.modified > UNFINISHED_SECONDS:
            _has_gone(os.unlink, file.path)


def _files(directory: str, names: List[str], pattern: Pattern[str]) -> Iterator[File]:
    for name in names:
        match = pattern.fullmatch(name)
        if match is None:
            continue
        path = os.path.join(directory, name)
        try:
            status = os.lstat(path)
        except FileNotFoundError:  # another process of this rank was quicker
            continue
        if stat.S_ISREG(status.st_mode):
            yield File(status.st_mtime, path, match["owner"], status.st_size)


def _has_gone(delete: Callable[[str], Optional[bool]], path: str) -> bool:
    try:
        return delete(path) is not False
    except OSError as error:  # another user's, or another process was quicker
        if is_interruption(error):
            raise
        return isinstance(error, FileNotFoundError)
