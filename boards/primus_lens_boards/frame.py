# SPDX-License-Identifier: Apache-2.0
"""What all boards have around their panels, and how they find each other."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import NamedTuple

from grafana_foundation_sdk.builders import dashboard as builders
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models import dashboard as models

from primus_lens_boards.annotations import marks
from primus_lens_boards.variables import common

TAG = "primus-lens"
SCHEMA = 39  # of Grafana 10.4, which the SDK's panels are for; newer ones read it
RUNS, RUN, RANKS, HARDWARE, HEALTH = (
    f"primus-lens-{name}.json" for name in ("runs", "run", "ranks", "hardware", "health")
)
VARIABLES = "${datasource:queryparam}&${cluster:queryparam}&${namespace:queryparam}"


class Row(NamedTuple):
    """Panels below a heading, side by side until 24 columns are full."""

    title: str
    panels: Sequence[Builder[models.Panel]]


def uid(file: str) -> str:
    """Stable, and the same wherever the file is loaded; Grafana takes up to 40 characters."""
    return hashlib.md5(file.encode(), usedforsecurity=False).hexdigest()


def link(file: str, **variables: str) -> str:
    """From a cell of a table to a board, with further variables taken from its row.

    Percent-encoded, since runs are called what their pods like.
    """
    further = "".join(
        f"&var-{name}=${{__data.fields.{title}:percentencode}}" for name, title in variables.items()
    )
    return f"/d/{uid(file)}?{VARIABLES}{further}&${{__url_time_range}}"


def board(
    file: str,
    title: str,
    description: str,
    rows: Sequence[Row],
    *,
    marked: bool = True,
    variables: Sequence[Builder[models.VariableModel]] = (),
) -> models.Dashboard:
    """The whole board; the rows are laid out one below the other."""
    made = builders.Dashboard(f"Primus Lens / {title}").uid(uid(file)).description(description)
    made.tags([TAG]).timezone("browser").refresh("30s").time("now-3h", "now").editable()
    made.tooltip(models.DashboardCursorSync.CROSSHAIR)
    made.variables([*common(), *variables])
    made.annotations(marks() if marked else [])
    made.link(
        builders.DashboardLink("Primus Lens")
        .type(models.DashboardLinkType.DASHBOARDS)
        .tags([TAG])
        .as_dropdown(True)
        .include_vars(True)
        .keep_time(True)
        .icon("external link")
    )
    for row in rows:
        made.with_row(builders.Row(row.title))
        for panel in row.panels:
            made.with_panel(panel)
    return _numbered(made.build())


def _numbered(made: models.Dashboard) -> models.Dashboard:
    made.schema_version = SCHEMA
    for number, panel in enumerate(made.panels or (), start=1):
        panel.id_val = number
    return made
