# SPDX-License-Identifier: Apache-2.0
"""Marks on the graphs: where a training was restarted, diverged, or was at odds about its steps."""

from __future__ import annotations

from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models import dashboard

from primus_lens_boards.promql import GRADIENT_KEYS, LOSS_KEYS, expand
from primus_lens_boards.variables import SOURCE

COUNTED = f'primus_lens_wandb_not_finite_total{{@rank, key=~"{LOSS_KEYS}|{GRADIENT_KEYS}"}}'

# Grafana asks once a minute, and marks each minute at which something is above 0.
MARKS = {
    "Restarts": (
        "blue",
        "{{pod}}: {{container}} was restarted",
        """changes(kube_pod_container_status_restarts_total{@pod}[2m]) > 0
          and on (cluster, namespace, pod)
        max_over_time(primus_lens_wandb_last_record_timestamp_seconds{@rank}[10m])""",
    ),
    "Step went back": (
        "purple",
        "{{run_id}} went back to an earlier step",
        "max by (@by_run) (resets(primus_lens_wandb_step{@rank}[2m])) > 0",
    ),
    "Not finite": (
        "red",
        "{{run_id}}: {{key}} is NaN or infinite",
        f"""count by (@by_run, key) (
          increase({COUNTED}[2m]) > 0 or (({COUNTED} > 0) unless {COUNTED} offset 2m)
        )""",
    ),
    "Step conflicts": (
        "orange",
        "{{run_id}}: log calls at odds about the step",
        "sum by (@by_run) (increase(primus_lens_wandb_step_fix_conflicts_total{@rank}[2m])) > 0",
    ),
}


class Mark(dashboard.AnnotationQuery):
    """With the words of a mark, which the SDK does not know."""

    def __init__(self, name: str, color: str, words: str, expr: str) -> None:
        super().__init__(name=name, datasource=SOURCE, icon_color=color, expr=expand(expr))
        self.built_in = None
        self._words = words

    def to_json(self) -> dict[str, object]:
        """As Grafana's Prometheus has it."""
        return {**super().to_json(), "titleFormat": self._words, "step": "60s"}


class MarkBuilder(Builder[dashboard.AnnotationQuery]):
    """What a dashboard's builder asks for."""

    def __init__(self, mark: Mark) -> None:
        self._mark = mark

    def build(self) -> Mark:
        """The mark itself."""
        return self._mark


def marks() -> list[Builder[dashboard.AnnotationQuery]]:
    """Those of a board that shows trainings."""
    return [MarkBuilder(Mark(name, *parts)) for name, parts in MARKS.items()]
