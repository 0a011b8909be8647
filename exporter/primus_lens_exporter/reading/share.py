# SPDX-License-Identifier: Apache-2.0
"""What one consumer may use on behalf of one tenant.

Each consumer has quotas and a share of reading of its own: one that lags must cost the others
nothing.
"""

from __future__ import annotations

from collections.abc import Callable

from primus_lens_exporter.model.quota import Quota
from primus_lens_exporter.reading.settings import ReadingSettings
from primus_lens_exporter.reading.tail import CHUNK

MAX_SEQUENCES = 10_000  # runs whose count is remembered: about 3 MB


class Share:
    """The quotas of one tenant and one consumer."""

    def __init__(
        self, settings: ReadingSettings, node: Quota, limited: Callable[[str], None]
    ) -> None:
        """`node`: the consumer's series of all tenants; `limited` is told of each bound reached."""
        self.quota = Quota(settings.limits_series_per_pod, "series_per_pod", node)
        self.history_quota = Quota(settings.limits_trails_per_pod, "trails_per_pod")
        self.sequence_quota = Quota(MAX_SEQUENCES, "sequences_per_pod")
        self.part = 0
        """Bytes that one of its ranks may read in this tick."""
        self._bytes_left = 0
        self._seconds_left = 0.0
        self._settings = settings
        self._limited = limited

    def begin_tick(self, ranks: int) -> None:
        """A new share of reading, for so many ranks that have something to read."""
        self._bytes_left = self._settings.limits_bytes_per_tick
        self._seconds_left = self._settings.limits_seconds_per_tick
        self.part = max(CHUNK, self._bytes_left // ranks)

    def may_read(self) -> bool:
        """Whether something of the share is left."""
        if self._bytes_left <= 0:
            self._limited("bytes_per_tick")
        elif self._seconds_left <= 0:
            self._limited("seconds_per_tick")
        else:
            return True
        return False

    def spent(self, size: int, seconds: float) -> None:
        """What reading and decoding a chunk, or handing it on, has cost."""
        self._bytes_left -= size
        self._seconds_left -= seconds
