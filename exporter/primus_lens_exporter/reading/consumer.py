# SPDX-License-Identifier: Apache-2.0
"""The interface between reading and what becomes of the records.

Reading calls a `Consumer` and must know nothing else of it; a consumer knows a rank only as
the `Holder` of its series.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import NamedTuple, Protocol

from primus_lens_exporter.model.labels import Labels
from primus_lens_exporter.model.quota import Quota
from primus_lens_exporter.model.record import Record
from primus_lens_exporter.model.rounds import Round
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

    @property
    def path(self) -> str:
        """The directory."""

    def logged(self, run_id: str) -> int:
        """How many log calls it has made to a run, as far as they have been read."""

    def also_written(self, paths: Iterable[str]) -> None:
        """The same rank has logged to the same run in other directories."""

    def limited(self, limit: str) -> None:
        """Something else was left out, since a bound was reached."""

    def past(self, most: int) -> list[PastFile]:
        """What its newest `most` files hold, oldest first; the caller closes them."""


class Consumer:
    """Takes each record once, in the order in which they were written.

    What several processes of a rank have written comes by time.
    """

    def accepts(self, holder: Holder) -> bool:
        """Whether there is room for more of a rank; else its records stay in their files."""
        del holder
        return True

    def resume(self, file: str) -> int:
        """The offset at which to begin with a file.

        `file` is the same after a restart: it holds the place of the rank and a fingerprint
        of the first line.
        """
        del file
        return 0

    def take(
        self, labels: Labels, records: list[Record], positions: Mapping[str, int], holder: Holder
    ) -> None:
        """Records of one rank; `positions` are those of its files right behind them."""
        raise NotImplementedError

    def caught_up(self, holder: Holder) -> None:
        """All records that were there when the rank was found have been taken."""

    def take_aggregates(
        self, labels: Labels, run_id: str, rounds: Sequence[Round], holders: Collection[Holder]
    ) -> None:
        """Aggregates over `holders`, the ranks of a pod; `labels` are the pod's."""

    def end_aggregates(self, labels: Labels, run_id: str) -> None:
        """The run is over on all ranks of the pod."""

    def leave_out(self, labels: Labels, run_id: str, key: str) -> None:
        """The key's values of this rank are not handed on any more."""

    def describe(self, labels: Labels, run_id: str, info: RunInfo, holder: Holder) -> bool:
        """What is known of a run; False while it has not logged yet."""
        del labels, run_id, info, holder
        return True

    def end(self, labels: Labels, run_id: str, finish: float, holder: Holder) -> None:
        """The run is over since `finish` (Unix seconds), which is a while ago."""

    def forget(self, file: str) -> None:
        """The file is gone, and was read to its end."""

    def release(self, holder: Holder) -> None:
        """The rank was removed and its grace period has passed."""
