# SPDX-License-Identifier: Apache-2.0
"""Panels: each with a unit, a description, and words for when it has nothing to show.

`absent` becomes `noValue`. Grafana shows it in place of the whole panel in time series, heatmaps
and tables, and in place of the number in stats. State timelines and status histories have words
of their own there, so there are none of them.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple, TypeVar

from grafana_foundation_sdk.builders import common, dashboard, heatmap, prometheus, stat, timeseries
from grafana_foundation_sdk.builders import table as tables
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.cog.variants import Dataquery
from grafana_foundation_sdk.models import common as common_models
from grafana_foundation_sdk.models import dashboard as models
from grafana_foundation_sdk.models import heatmap as heatmap_models
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

from primus_lens_boards.promql import expand
from primus_lens_boards.variables import SOURCE

Panel = TypeVar("Panel", timeseries.Panel, stat.Panel, tables.Panel, heatmap.Panel)
Steps = tuple[tuple[float | None, str], ...]

LETTERS = "ABCDEFGHIJ"
"""What Grafana calls the queries of a panel."""

PLAIN: Steps = ((None, "text"),)
GOOD: Steps = ((None, "green"),)
NONE_IS_GOOD: Steps = ((None, "green"), (1, "red"))
TWO_IS_LATE: Steps = ((None, "green"), (120, "orange"), (600, "red"))  # seconds


class Query(NamedTuple):
    """A query, and what its lines are called."""

    expr: str
    legend: str = ""


def targets(
    queries: Iterable[Query], form: PromQueryFormat, *, instant: bool = False
) -> list[Builder[Dataquery]]:
    """The queries, lettered from A on."""
    made: list[Builder[Dataquery]] = []
    for letter, (expr, legend) in zip(LETTERS, queries, strict=False):
        query = prometheus.Dataquery().ref_id(letter).datasource(SOURCE).format(form)
        query.expr(expand(expr)).legend_format(legend or "__auto")
        made.append(query.instant() if instant else query.range())
    return made


def thresholds(steps: Steps) -> dashboard.ThresholdsConfig:
    """Colours from a value on."""
    made = [models.Threshold(value=value, color=color) for value, color in steps]
    return dashboard.ThresholdsConfig().mode(models.ThresholdsMode.ABSOLUTE).steps(made)


def fill(panel: Panel, title: str, description: str, absent: str, unit: str) -> Panel:
    """What every panel has."""
    panel.title(title).description(description).no_value(absent)
    panel.datasource(SOURCE).unit(unit)
    return panel


def graph(
    title: str,
    description: str,
    *queries: Query,
    unit: str,
    absent: str,
    width: int = 12,
    stacked: bool = False,
) -> timeseries.Panel:
    """Lines over time, with their newest and greatest values."""
    panel = fill(timeseries.Panel(), title, description, absent, unit)
    panel.span(width).height(8).targets(targets(queries, PromQueryFormat.TIME_SERIES))
    panel.legend(
        common.VizLegendOptions()
        .display_mode(common_models.LegendDisplayMode.TABLE)
        .placement(common_models.LegendPlacement.BOTTOM)
        .show_legend(True)
        .calcs(["lastNotNull", "max"])
    )
    panel.tooltip(
        common.VizTooltipOptions()
        .mode(common_models.TooltipDisplayMode.MULTI)
        .sort(common_models.SortOrder.DESCENDING)
    )
    panel.line_width(1).fill_opacity(30 if stacked else 5)
    if stacked:
        panel.stacking(common.StackingConfig().mode(common_models.StackingMode.NORMAL).group("A"))
    return panel


def number(
    title: str,
    description: str,
    *queries: Query,
    unit: str,
    absent: str,
    width: int = 4,
    steps: Steps = PLAIN,
) -> stat.Panel:
    """What is so now; several series as several numbers."""
    panel = fill(stat.Panel(), title, description, absent, unit)
    panel.span(width).height(4).thresholds(thresholds(steps))
    panel.targets(targets(queries, PromQueryFormat.TIME_SERIES, instant=True))
    panel.reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
    panel.graph_mode(common_models.BigValueGraphMode.NONE)
    panel.color_mode(common_models.BigValueColorMode.VALUE)
    return panel


def rows_over_time(
    title: str, description: str, query: Query, *, unit: str, absent: str, most: float
) -> heatmap.Panel:
    """A heatmap with a row for each series, from red at 0 to green at `most`."""
    panel = fill(heatmap.Panel(), title, description, absent, unit)
    panel.span(24).height(10).targets(targets([query], PromQueryFormat.TIME_SERIES))
    panel.calculate(False).cell_gap(1)
    panel.cell_values(heatmap.CellValues().unit(unit))
    panel.y_axis(heatmap.YAxisConfig().axis_placement(common_models.AxisPlacement.LEFT))
    panel.color(
        heatmap.HeatmapColorOptions()
        .mode(heatmap_models.HeatmapColorMode.SCHEME)
        .scheme("RdYlGn")
        .fill("dark-orange")
        .exponent(0.5)
        .steps(64)
        .min(0)
        .max(most)
    )
    # Grafana leaves out what is below 1e-9, which is just what stands still.
    panel.filter_values(heatmap.FilterValueRange().le(-1))
    return panel
