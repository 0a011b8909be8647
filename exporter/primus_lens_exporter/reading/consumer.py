# SPDX-License-Identifier: Apache-2.0
"""The interface between reading and what becomes of the records.

Reading calls a `Consumer` and must know nothing else of it; a consumer knows a rank only as
the `Holder` of its series.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

from primus_lens_exporter.model.labels import Labels
from primus_lens_exporter.model.quota import Quota
from primus_lens_exporter.model.record import Record
from primus_lens_exporter.model.run_info import RunInfo


class PastFile(NamedTuple):
    """A file of a rank, to be read once more; the descriptor is the reader's own."""

    key: str
    """The same after a restart, and no other file's of the rank."""

    fd: int


class SeriesHolder(Protocol):
    """Keeps the series that were made of its records alive until it releases them."""

    @property
    def quota(self) -> Quota:
        """How many series may be made."""

    def dropped(self, reason: str, values: int) -> None:
        """Values got no series."""


class Holder(SeriesHolder, Protocol):
    """The rank whose records they are."""

    @property
    def history_quota(self) -> Quota:
        """Of how many runs the recent past may be kept."""

    def limited(self, limit: str) -> None:
        """Something else was left out, since a bound was reached."""

    def past(self, most: int) -> list[PastFile]:
        """What its newest `most` files hold, oldest first; the caller closes them."""


class Consumer:
    """Takes records in the order in which they were written, file by file."""

    def accepts(self, holder: Holder) -> bool:
        """Whether there is room for more of a rank; else its records stay in their files."""
        del holder
        return True

    def resume(self, file: str) -> int:
        """The offset at which to begin with a file.

        `file` is the same after a restart: it holds the place of the rank, the inode and
        a fingerprint of the first line.
        """
        del file
        return 0

    def take(
        self, labels: Labels, records: list[Record], file: str, offset: int, holder: Holder
    ) -> None:
        """Records of one rank; `offset` is the file's position right behind them."""
        raise NotImplementedError

    def describe(self, labels: Labels, run_id: str, info: RunInfo, holder: Holder) -> bool:
        """What is known of a run; False while it has not logged yet."""
        del labels, run_id, info, holder
        return True

    def end(self, labels: Labels, run_id: str, finish: float, holder: Holder) -> None:
        """The run was finished at `finish` (Unix seconds), which is a while ago.

        Another process of the rank may have gone on with it.
        """

    def forget(self, file: str) -> None:
        """The file is gone, and was read to its end."""

    def release(self, holder: Holder) -> None:
        """The rank was removed and its grace period has passed."""
