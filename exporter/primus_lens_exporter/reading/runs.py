# SPDX-License-Identifier: Apache-2.0
"""What a rank's `wandb_runs.json` tells of its runs, and when a finished run ends.

Its series stay for a grace after the end was noticed, so that their last values are
scraped, and then stop: a finished training must not look like one that hangs.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice

from primus_lens_exporter.model.labels import Labels
from primus_lens_exporter.model.run_info import RunInfo
from primus_lens_exporter.reading import runs_file
from primus_lens_exporter.reading.consumer import Consumer, Holder
from primus_lens_exporter.reading.safe_open import SafeDirectory
from primus_lens_exporter.reading.tenant import Tenant


class Runs:
    """The runs of one rank, as its processes describe them."""

    def __init__(
        self, consumer: Consumer, holder: Holder, tenant: Tenant, grace_seconds: float
    ) -> None:
        self._consumer = consumer
        self._holder = holder
        self._tenant = tenant
        self._grace = grace_seconds
        self._infos: dict[str, RunInfo] = {}
        self._waiting: set[str] = set()
        self._added: Labels = ()
        self._ends: dict[str, float] = {}

    def read(self, root: SafeDirectory, names: Iterable[str]) -> None:
        """Take over what the files say now."""
        infos = runs_file.read(root, names)
        kept = self._tenant.keep_infos(len(self._infos), len(infos))
        self._infos = dict(islice(infos.items(), kept))
        self._waiting = set(self._infos)
        self._ends = {run_id: at for run_id, at in self._ends.items() if run_id in self._infos}

    def close(self) -> None:
        """Nothing is kept any more."""
        self._tenant.keep_infos(len(self._infos), 0)
        self._infos.clear()
        self._waiting.clear()
        self._ends.clear()

    def update(self, labels: Labels, added: Labels, now: float) -> None:
        """Describe what is new and end what is over; `added` is what Kubernetes knows."""
        if added != self._added:
            self._added = added
            self._waiting = set(self._infos)
        for run_id in list(self._waiting):
            self._describe(labels, run_id, now)
        for run_id in [run_id for run_id, at in self._ends.items() if now >= at]:
            del self._ends[run_id]
            if (finish := self._infos[run_id].finish) is not None:
                self._consumer.end(labels, run_id, finish, self._holder)

    def _describe(self, labels: Labels, run_id: str, now: float) -> None:
        info = self._infos[run_id]
        described = info._replace(labels={**info.labels, **dict(self._added)})
        if not self._consumer.describe(labels, run_id, described, self._holder):
            return  # it has not logged yet
        self._waiting.discard(run_id)
        if info.finish is not None:
            self._ends.setdefault(run_id, now + self._grace)
        else:
            self._ends.pop(run_id, None)  # resumed
