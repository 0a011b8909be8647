# SPDX-License-Identifier: Apache-2.0
"""The variables at the top of every board: the same ones, so that links carry them along.

Each narrows those behind it. The options are those of the time range, so that runs which have
ended can be looked at.
"""

from __future__ import annotations

from grafana_foundation_sdk.builders import dashboard as builders
from grafana_foundation_sdk.models import dashboard as models

from primus_lens_boards.promql import CLUSTER, NAMESPACE, expand

SOURCE = models.DataSourceRef(type_val="prometheus", uid="${datasource}")
ALL = models.VariableOption(selected=True, text="All", value="$__all")
NEWEST = "primus_lens_wandb_last_record_timestamp_seconds"
INFO = "primus_lens_wandb_run_info"

# Run ids and keys come from pods, and Grafana puts values into queries without escaping quotes:
# one such id among the options of All would make every query of every board an error.
HARMLESS = r'!~"(?s).*[\\x22\\n].*"'

# On one line: Grafana's pattern for `query_result` takes no more.
#
# The value is the run's id, and the text its name and id; once, though its ranks may call it by
# different names. No `All` value of its own: All is the list of its options, so that it means
# those of the chosen workload.
RUNS = (
    "query_result(topk by (run_id) (1, group by (run_id, text) (label_join("
    f'last_over_time({INFO}{{{NAMESPACE}, workload=~"$workload", run_id{HARMLESS}}}[$__range]), '
    '"text", " ", "name", "run_id"))))'
)
RUN_PATTERN = r'/run_id="(?<value>.*?)",text=" ?(?<text>.+)"}/'

# Options are `node_rank/local_rank`, made by the query; promql.ranked tells how they are chosen.
RANKS = (
    "query_result(label_join("
    f"group by (node_rank, local_rank) (last_over_time({NEWEST}{{@rank}}[$__range])), "
    '"rank", "/", "node_rank", "local_rank"))'
)
RANK_PATTERN = r'/rank="([^"]+)"}/'


def _query(name: str, label: str, query: str, description: str) -> builders.QueryVariable:
    return (
        builders.QueryVariable(name)
        .label(label)
        .description(description)
        .datasource(SOURCE)
        .query(expand(query))
        .refresh(models.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(models.VariableSort.NATURAL_ASC)
        .multi(True)
        .include_all(True)
    )


def _label(name: str, label: str, selector: str, description: str) -> builders.QueryVariable:
    """Of a label that may not exist at all: All then matches the series without it."""
    query = f"label_values({selector}, {name})"
    return _query(name, label, query, description).all_value(".*").current(ALL)


def common() -> list[builders.DatasourceVariable | builders.QueryVariable]:
    """Those of every board, in their order."""
    return [
        builders.DatasourceVariable("datasource")
        .label("Data source")
        .description("The Prometheus that scrapes the exporters.")
        .type("prometheus"),
        _label("cluster", "Cluster", NEWEST, "The label cluster, where there is one."),
        _label("namespace", "Namespace", f"{NEWEST}{{{CLUSTER}}}", "Of the training's pods."),
        _label("workload", "Workload", f"{INFO}{{{NAMESPACE}}}", "The Job or such of the pods."),
        _query("run", "Run", RUNS, "W&B's name of the run, and its id.")
        .regex(RUN_PATTERN)
        .current(ALL),
        _label("pod", "Pod", f"{NEWEST}{{@run}}", "Of the chosen runs."),
        _query("rank", "Rank", RANKS, "node_rank/local_rank.")
        .regex(RANK_PATTERN)
        .all_value(".*")
        .current(ALL),
    ]


def key() -> builders.QueryVariable:
    """The keys that a run logs, for one panel each."""
    query = f"label_values(primus_lens_wandb_metric{{@rank, key{HARMLESS}}}, key)"
    return _query("key", "Key", query, "Each has a panel of its own.")
