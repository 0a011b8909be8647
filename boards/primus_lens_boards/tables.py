# SPDX-License-Identifier: Apache-2.0
"""Tables of now: a row for each set of labels, a column for each label and each query."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from grafana_foundation_sdk.builders import common, table
from grafana_foundation_sdk.models import dashboard as models
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

from primus_lens_boards.panels import LETTERS, Query, Steps, fill, targets

COLORED = {"type": "color-text"}
# By what the queries of tables are grouped. `includeByName` would be shorter, but is newer than
# the Grafana that the boards are for.
COLUMNS = (
    "Time", "cluster", "namespace", "pod", "container", "node", "node_rank", "local_rank", "run_id",
    "rank", "kept",
)  # fmt: skip


class Column(NamedTuple):
    """What a query gives for each row. All queries of a table have the same labels, or fewer."""

    title: str
    """Empty where the query is there for its labels alone."""
    expr: str
    unit: str = "short"
    absent: str = "-"
    steps: Steps | None = None


class Links(NamedTuple):
    """Where a cell of a column leads to, by the words for it."""

    title: str
    urls: Mapping[str, str]


def listing(
    title: str,
    description: str,
    labels: Mapping[str, str],
    *columns: Column,
    absent: str,
    sort: tuple[str, bool],
    width: int = 24,
    links: Links | None = None,
) -> table.Panel:
    """`labels` are the titles of labels, in their order; others are left out.

    `sort` is the title to sort by, and whether the greatest is first.
    """
    panel = fill(table.Panel(), title, description, absent, "short")
    panel.span(width).height(10)
    queries = [Query(column.expr) for column in columns]
    panel.targets(targets(queries, PromQueryFormat.TABLE, instant=True))
    panel.transformations(
        [models.DataTransformerConfig("merge", options={}), _organized(labels, columns)]
    )
    for column in columns:
        if column.title:
            panel.override_by_name(column.title, _properties(column))
    if links:
        urls = [{"title": words, "url": url} for words, url in links.urls.items()]
        panel.override_by_name(links.title, [models.DynamicConfigValue("links", urls)])
    panel.sort_by([common.TableSortByFieldState().display_name(sort[0]).desc(sort[1])])
    return panel


def _organized(
    labels: Mapping[str, str], columns: tuple[Column, ...]
) -> models.DataTransformerConfig:
    values = {
        f"Value #{letter}": each.title for letter, each in zip(LETTERS, columns, strict=False)
    }
    if len(columns) == 1:
        values = {"Value": columns[0].title}
    titles = {**labels, **{name: title for name, title in values.items() if title}}
    excluded = [name for name in (*COLUMNS, *values) if name not in titles]
    options = {
        "excludeByName": dict.fromkeys(excluded, True),
        "indexByName": {name: index for index, name in enumerate(titles)},
        "renameByName": titles,
    }
    return models.DataTransformerConfig("organize", options=options)


def _properties(column: Column) -> list[models.DynamicConfigValue]:
    properties = [
        models.DynamicConfigValue("unit", column.unit),
        models.DynamicConfigValue("noValue", column.absent),
    ]
    if column.steps:
        made = [{"value": value, "color": color} for value, color in column.steps]
        properties += [
            models.DynamicConfigValue("thresholds", {"mode": "absolute", "steps": made}),
            models.DynamicConfigValue("custom.cellOptions", COLORED),
        ]
    return properties
