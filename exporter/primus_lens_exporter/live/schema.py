# SPDX-License-Identifier: Apache-2.0
"""What `GET /api/v1/runs` answers: written by the exporter, read by `primus-lens top`.

The live page reads it too; docs/page.md explains it. Readers ignore further fields.
"""

from __future__ import annotations

import msgspec

Value = float | str
"""A number, or the word of the records for one that JSON has none for."""


class Headline(msgspec.Struct, frozen=True):
    """The one value that tells most of a run: its loss, or what it logged first."""

    key: str
    value: Value


class Rank(msgspec.Struct, frozen=True):
    """One run on one rank; `pod`, `container` and `node` are "" outside Kubernetes."""

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
    """One thing that looks wrong."""

    kind: str
    alert: str
    """The alert with the same definition; its runbook is docs/runbooks/ALERT.md."""

    text: str
    rank_ids: tuple[str, ...]


class Run(msgspec.Struct, frozen=True):
    """A run on all its ranks that the exporter reads; a name that nobody knows is ""."""

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
    spark: list[float | None]
    step_fix: dict[str, int] | None
    """The step fix's counters by name, without those that are 0."""

    hints: list[Hint]
    ranks: list[Rank]

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
    """How the exporter itself is: its telemetry, added up."""

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
    """None outside Kubernetes."""


class Snapshot(msgspec.Struct, frozen=True):
    """The whole answer; `now` is the exporter's clock, in Unix seconds."""

    now: float
    version: str
    exporter: Exporter
    runs: list[Run]
    left_out: int = 0
    """Runs on one rank that were too many to be sent."""
