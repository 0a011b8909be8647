# SPDX-License-Identifier: Apache-2.0
"""What reading has done, in plain numbers, of which others make metrics.

It must need no metrics library: whoever reads records for another purpose has none.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

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
    "directory_entries", "trails_per_pod", "open_files",
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
        """Unix seconds of its end."""
        self.lag: dict[Labels, tuple[int, float]] = {}
        """Bytes that wait, and seconds: by whom to name for it."""


def _zeros(names: Iterable[str]) -> Counter[str]:
    """A counter that appears with its first error hides that error from `increase`."""
    return Counter(dict.fromkeys(names, 0))
