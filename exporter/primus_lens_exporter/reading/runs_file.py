# SPDX-License-Identifier: Apache-2.0
"""Reads `wandb_runs.json`: what W&B knows each run by, and what the step fix did for it."""

from __future__ import annotations

import math
import os
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from itertools import islice

import msgspec

from primus_lens_exporter.model.run_info import RunInfo
from primus_lens_exporter.reading.read_errors import ReadErrors
from primus_lens_exporter.reading.safe_open import SafeDirectory
from primus_lens_exporter.reading.tenant import Tenant

# Of one rank: the hook keeps 100 runs for each process, a kilobyte at most for each.
MAX_BYTES = 1 << 20
MAX_RUNS = 1_000
LABELS = ("project", "entity", "name", "group", "job_type", "world_size")


class _Run(msgspec.Struct):
    project: str | None = None
    entity: str | None = None
    name: str | None = None
    group: str | None = None
    job_type: str | None = None
    world_size: int | None = None
    step_fix: dict[str, int] | None = None
    start: float | None = None
    finish: float | None = None
    pid: int | None = None


NONE = RunInfo({}, {})
_decoder = msgspec.json.Decoder(dict[str, _Run])


class RunsFiles:
    """What one rank's files tell, of as many runs as are kept for its tenant."""

    def __init__(self, root: SafeDirectory, directory: str, tenant: Tenant) -> None:
        self._root = root
        self._directory = directory
        self._tenant = tenant
        self._read_errors = ReadErrors(f"{root.path}/{directory}", tenant)
        self._kept = 0

    def read(self, names: Collection[str]) -> dict[str, RunInfo]:
        """By run id, as the files say it now."""
        self._read_errors.keep(names)
        paths = [f"{self._directory}/{name}" for name in names]
        infos = read(self._root, paths, self._read_errors)
        self._kept = self._tenant.keep_infos(self._kept, len(infos))
        return dict(islice(infos.items(), self._kept))

    def close(self) -> None:
        """Nothing is kept any more."""
        self._kept = self._tenant.keep_infos(self._kept, 0)


def read(root: SafeDirectory, names: Iterable[str], errors: ReadErrors) -> dict[str, RunInfo]:
    """What the files of one rank tell, by run id; nothing for a file that makes no sense."""
    infos: dict[str, RunInfo] = {}
    left = MAX_BYTES
    for name in names:
        try:
            text = _content(root, name, left)
            errors.lift(os.path.basename(name))
        except OSError as error:
            errors.note(os.path.basename(name), error)
            continue
        left -= len(text)
        runs = _decode(text)
        last = next(reversed(runs.values()), _Run())
        for run_id, run in runs.items():
            if run_id in infos or len(infos) < MAX_RUNS:
                # The file is one process's: a run of another's is a dead one's.
                over = run.finish is not None or run.pid != last.pid
                infos[run_id] = _together(infos.get(run_id, NONE), run, over=over)
    return infos


def _together(earlier: RunInfo, run: _Run, *, over: bool) -> RunInfo:
    """What the processes that have logged to a run say of it."""
    counts = Counter(earlier.step_fix) + Counter(run.step_fix or {})
    finishes = [each for each in (earlier.finish, run.finish) if each is not None]
    start = max(earlier.start, -math.inf if run.start is None else run.start)
    over = over and (earlier is NONE or earlier.over)
    return RunInfo(_labels(run), counts, max(finishes, default=None), start, over)


def _content(root: SafeDirectory, name: str, limit: int) -> bytes:
    fd, _ = root.open_regular(name)
    try:
        return os.read(fd, limit)
    finally:
        os.close(fd)


def _decode(text: bytes) -> dict[str, _Run]:
    try:
        return _decoder.decode(text)
    except (ValueError, RecursionError):  # msgspec's errors are ValueErrors
        return {}


def _labels(run: _Run) -> Mapping[str, str]:
    known = ((name, getattr(run, name)) for name in LABELS)
    return {name: str(value) for name, value in known if value is not None}
