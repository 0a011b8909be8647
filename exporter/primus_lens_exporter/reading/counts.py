# SPDX-License-Identifier: Apache-2.0
"""What reading has done, in plain numbers, of which others make metrics.

It must need no metrics library: whoever reads records for another purpose has none.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from primus_lens_exporter.model.drops import DROPS
from primus_lens_exporter.model.labels import Labels
from primus_lens_exporter.reading.decode import RESULTS

FILE_EVENTS = ("opened", "closed", "truncated", "replaced")
REFUSALS = (
    "not_regular", "not_directory", "link", "hard_link", "outside", "lease", "permission",
    "io_error",
)  # fmt: skip
LIMITS = (
    "bytes_per_tick", "seconds_per_tick", "files_per_pod", "ranks_per_volume",
    "directory_entries", "trails_per_pod", "open_files", "waiting_values_per_pod",
    "sampled_keys_per_pod",
)  # fmt: skip


class Counts:
    """The numbers of one follower since it was made."""

    def __init__(self) -> None:
        self.lines = _zeros(RESULTS)
        self.bytes = 0
        self.file_events = _zeros(FILE_EVENTS)
        self.refused = _zeros(REFUSALS)
        """Files that could not be read, once for each file."""
        self.limited = _zeros(LIMITS)
        self.dropped = _zeros(DROPS)
        """Values that got no series."""
        self.shared_runs = 0
        """Runs that a rank has logged to in more than one directory."""
        self.faults = 0
        self.files = 0
        """Followed now, as `ranks`."""
        self.ranks = 0
        self.tick_seconds = 0.0
        """Duration of the newest tick."""
        self.tick_timestamp = 0.0
        """Unix seconds of its end; of several followers, the one that ended first."""
        self.lag: dict[Labels, tuple[int, float]] = {}
        """Bytes that wait, and seconds: by whom to name for it."""
        self.stuck: dict[str, float] = {}
        """Seconds for which file systems that can hang have not answered, by path."""


def together(parts: Sequence[Counts]) -> Counts:
    """The numbers of several followers, each of which is written in one thread alone."""
    total = Counts()
    for part in parts:
        for name in ("lines", "file_events", "refused", "limited", "dropped"):
            getattr(total, name).update(dict(getattr(part, name)))  # its thread goes on counting
        for name in ("bytes", "shared_runs", "faults", "files", "ranks"):
            setattr(total, name, getattr(total, name) + getattr(part, name))
        total.lag.update(part.lag)
        total.stuck.update(part.stuck)
    total.tick_seconds = max((part.tick_seconds for part in parts), default=0.0)
    total.tick_timestamp = min((part.tick_timestamp for part in parts), default=0.0)
    return total


def _zeros(names: Iterable[str]) -> Counter[str]:
    """A counter that appears with its first error hides that error from `increase`."""
    return Counter(dict.fromkeys(names, 0))
