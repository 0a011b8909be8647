# SPDX-License-Identifier: Apache-2.0
"""What one pod may cost the exporter, and how long what it wrote stays."""

from __future__ import annotations

import dataclasses
import math

from primus_lens_toolkit.flags import flag, limit


def positive_seconds(text: str) -> float:
    """A time above zero; ValueError otherwise."""
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < math.inf:
        raise ValueError(f"expected seconds above zero, not {text!r}")
    return seconds


@dataclasses.dataclass(frozen=True)
class ReadingSettings:
    """The bounds of reading; each is a flag."""

    limits_series_per_pod: int = limit(
        "--limits.series-per-pod",
        "most series of one pod; in a plain directory, of one rank",
        20_000,
    )
    limits_series_per_node: int = limit(
        "--limits.series-per-node", "most series of all trainings together", 500_000
    )
    limits_line_bytes: int = limit(
        "--limits.line-bytes",
        "longest line that is read; longer ones are passed over",
        1 << 20,
        "BYTES",
    )
    limits_bytes_per_tick: int = limit(
        "--limits.bytes-per-tick",
        "most that is read of one pod in each of the four ticks of a second",
        4 << 20,
        "BYTES",
    )
    limits_seconds_per_tick: float = flag(
        "--limits.seconds-per-tick",
        "most time that is spent on one pod in each tick",
        positive_seconds,
        default=0.05,
        metavar="SECONDS",
    )
    limits_files_per_pod: int = limit(
        "--limits.files-per-pod",
        "most files of one pod that are followed; in a plain directory, of one rank",
        1_000,
    )
    limits_ranks_per_volume: int = limit(
        "--limits.ranks-per-volume",
        "most rank directories of one pod, or of one plain directory",
        4_096,
    )
    limits_directory_entries: int = limit(
        "--limits.directory-entries", "most entries of one directory that are looked at", 4_096
    )
    limits_trails_per_pod: int = limit(
        "--limits.trails-per-pod",
        "most runs of one pod, each on one rank, whose last hour is kept for hints on the live "
        "page; in a plain directory, of one rank",
        256,
    )
    series_grace_seconds: int = limit(
        "--series.grace-seconds",
        "how long the last values stay after a run has finished or its pod is gone",
        60,
        "SECONDS",
    )
