# SPDX-License-Identifier: Apache-2.0
"""What `GET /api/v1/runs` answers, as far as it is shown. Further fields are ignored."""

from __future__ import annotations

import msgspec

# JSON has no word for NaN and infinities; they come as "NaN", "Infinity", "-Infinity".
Value = float | str


class Headline(msgspec.Struct, frozen=True):
    """The one value that stands for the run."""

    key: str
    value: Value


class Rank(msgspec.Struct, frozen=True):
    """One process of a run; `pod`, `container` and `node` are "" outside Kubernetes."""

    id: str
    pod: str
    container: str
    node: str
    node_rank: str
    local_rank: str
    step: Value | None
    records: int
    last_record: float
    steps_per_second: float | None
    headline: Headline | None


class Hint(msgspec.Struct, frozen=True):
    """Something that is wrong for certain, and the alert with the same definition."""

    kind: str
    alert: str
    text: str
    rank_ids: tuple[str, ...]


class StepFix(msgspec.Struct, frozen=True):
    """What the step fix has counted."""

    logs: int = 0
    conflicts: int = 0
    dropped: int = 0
    flushes: int = 0


class Run(msgspec.Struct, frozen=True):
    """A run and its ranks; a name that nobody knows is ""."""

    id: str
    run_id: str
    namespace: str
    project: str
    entity: str
    name: str
    group: str
    job_type: str
    workload: str
    workload_kind: str
    finished: bool
    step: Value | None
    records: int
    last_record: float
    steps_per_second: float | None
    keys: int
    headline: Headline | None
    spark: tuple[float | None, ...]
    step_fix: StepFix | None
    hints: tuple[Hint, ...]
    ranks: tuple[Rank, ...]

    @property
    def title(self) -> str:
        """What people call it; as it came."""
        return "/".join(filter(None, (self.project, self.name or self.run_id)))


class Pods(msgspec.Struct, frozen=True):
    """Pods of the node by what the webhook made of them."""

    injected: int
    skipped: int
    expected_not_injected: int


class Exporter(msgspec.Struct, frozen=True):
    """How the exporter itself is."""

    ready: bool
    files: int
    ranks: int
    series: int
    lag_bytes: int
    lag_seconds: float
    faults: int
    dropped_series: int
    refused_files: int
    limited: int
    pods: Pods | None


class Snapshot(msgspec.Struct, frozen=True):
    """The whole answer; `now` is the exporter's clock, in Unix seconds."""

    now: float
    version: str
    exporter: Exporter
    runs: tuple[Run, ...]
    left_out: int = 0
    """Runs on one rank that were too many to be sent."""
