# SPDX-License-Identifier: Apache-2.0
"""Reads `wandb_runs.json`: what W&B knows each run by, and what the step fix did for it."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Mapping

import msgspec

from primus_lens_exporter.model.run_info import RunInfo
from primus_lens_exporter.reading.safe_open import SafeDirectory

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
    finish: float | None = None


_decoder = msgspec.json.Decoder(dict[str, _Run])


def read(root: SafeDirectory, names: Iterable[str]) -> dict[str, RunInfo]:
    """What the files of one rank tell, by run id; nothing for a file that makes no sense."""
    infos: dict[str, RunInfo] = {}
    left = MAX_BYTES
    for name in names:
        text = _content(root, name, left)
        left -= len(text)
        for run_id, run in _decode(text).items():
            if run_id not in infos and len(infos) >= MAX_RUNS:
                continue
            earlier = infos.get(run_id, RunInfo({}, {}))
            counts = Counter(earlier.step_fix) + Counter(run.step_fix or {})
            finishes = [each for each in (earlier.finish, run.finish) if each is not None]
            infos[run_id] = RunInfo(_labels(run), counts, max(finishes, default=None))
    return infos


def _content(root: SafeDirectory, name: str, limit: int) -> bytes:
    try:
        fd, _ = root.open_regular(name)
        try:
            return os.read(fd, limit)
        finally:
            os.close(fd)
    except OSError:
        return b""


def _decode(text: bytes) -> Mapping[str, _Run]:
    try:
        return _decoder.decode(text)
    except (ValueError, RecursionError):  # msgspec's errors are ValueErrors
        return {}


def _labels(run: _Run) -> Mapping[str, str]:
    known = ((name, getattr(run, name)) for name in LABELS)
    return {name: str(value) for name, value in known if value is not None}
