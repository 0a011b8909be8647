# SPDX-License-Identifier: Apache-2.0
"""What the step fix did, in the four numbers that `get_stats` and the exporter show."""

from __future__ import annotations

from typing import Dict


class Counts:
    """Counters of one run."""

    __slots__ = ("conflicts", "dropped", "flushes", "logs")

    def __init__(self) -> None:
        self.logs = 0
        """Log calls."""
        self.conflicts = 0
        """Calls that wandb would have dropped."""
        self.dropped = 0
        """Waiting rows that wandb would not take in the end."""
        self.flushes = 0
        """Times that waiting rows went to wandb."""

    def as_dict(self) -> Dict[str, int]:
        """The counters by name."""
        return {name: getattr(self, name) for name in sorted(self.__slots__)}
