# SPDX-License-Identifier: Apache-2.0
"""Reads `wandb_runs.json`: what W&B knows each run by, for the labels of `run_info`."""

from __future__ import annotations

import os
from collections.abc import Mapping

import msgspec

from primus_lens_exporter.tail import OPEN_FLAGS

MAX_BYTES = 1 << 20  # the hook keeps 100 runs, a kilobyte at most for each
LABELS = ("project", "entity", "name", "group", "job_type", "world_size")


class _Run(msgspec.Struct):
    project: str | None = None
    entity: str | None = None
    name: str | None = None
    group: str | None = None
    job_type: str | None = None
    world_size: int | None = None


_decoder = msgspec.json.Decoder(dict[str, _Run])


def read(path: str | os.PathLike[str]) -> Mapping[str, Mapping[str, str]]:
    """Labels by run id, without the empty ones; nothing for a file that makes no sense."""
    try:
        fd = os.open(path, OPEN_FLAGS)
        try:
            runs = _decoder.decode(os.read(fd, MAX_BYTES))
        finally:
            os.close(fd)
    except (OSError, ValueError, RecursionError):  # msgspec's errors are ValueErrors
        return {}
    return {run_id: _labels(run) for run_id, run in runs.items()}


def _labels(run: _Run) -> Mapping[str, str]:
    known = ((name, getattr(run, name)) for name in LABELS)
    return {name: str(value) for name, value in known if value is not None}
