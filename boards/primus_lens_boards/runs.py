# SPDX-License-Identifier: Apache-2.0
"""Runs overview: which trainings are there, and how each does."""

from __future__ import annotations

from grafana_foundation_sdk.models import dashboard as models

from primus_lens_boards.frame import HARDWARE, RANKS, RUN, RUNS, Row, board, link
from primus_lens_boards.panels import NONE_IS_GOOD, TWO_IS_LATE, Query, graph, number
from primus_lens_boards.promql import AGE, RUN_OF_POD, STEP, STEPS_PER_SECOND, TRAINING_LOSS
from primus_lens_boards.tables import Column, Links, listing

NO_RUN = "No training: is the hook in it, and the exporter scraped with honor_labels?"
NO_RULES = "Recording rules are not loaded: rules.enabled=true, or the files in rules/"
NO_GPU = "Unknown: injection.systemMetrics=true and recording rules, or kube-state-metrics"

LIVE = "group by (@by_run) (primus_lens_wandb_last_record_timestamp_seconds{@rank})"
# As in PrimusLensTrainingStalled: a rank that has gone over to another run is not of the old one.
CURRENT = f"""{AGE} == on (@by_place) group_left () (
  time() - max by (@by_place) (primus_lens_wandb_last_record_timestamp_seconds{{@pod}})
)"""
LOSS = f"avg by (@by_run) (primus_lens_wandb_metric{{@rank, {TRAINING_LOSS}}})"
SPEED = f"max by (@by_run) ({STEPS_PER_SECOND})"
# The GPUs that samples tell of, or those that the run's pods have asked for.
GPUS = f"""count by (@by_run) (primus_lens:gpu_of_run{{@rank}})
or sum by (@by_run) (
  max by (cluster, namespace, pod, container, resource) (
    kube_pod_container_resource_requests{{@pod, resource=~"nvidia_com_gpu|amd_com_gpu"}}
  ) * on (cluster, namespace, pod) group_left (run_id) {RUN_OF_POD}
)"""
# One line for each run, whatever its ranks are called.
NAMES = """topk by (@by_run) (1, group by (@by_run, project, name, workload) (
  primus_lens_wandb_run_info{@run}
))"""
# 0 where rules are loaded and nothing fires; nothing where none are.
FIRING = """count(ALERTS{@cluster, alertname=~"PrimusLens.+", alertstate="firing"})
or 0 * count(primus_lens:seconds_since_last_record{@cluster})"""


NOW = Row(
    "Now",
    [
        number(
            "Runs",
            "Runs that have not ended, or only just.",
            Query(f"count({LIVE})"),
            unit="short",
            absent=NO_RUN,
        ),
        number(
            "Ranks",
            "Ranks that log, or did when they started.",
            Query(
                "count(group by (@by_rank) "
                "(primus_lens_wandb_last_record_timestamp_seconds{@rank}))"
            ),
            unit="short",
            absent=NO_RUN,
        ),
        number(
            "GPUs",
            "GPUs of all these runs: those that their samples tell of, "
            "or else those that their pods ask for.",
            Query(f"sum({GPUS})"),
            unit="short",
            absent=NO_GPU,
        ),
        number(
            "Silent runs",
            "Runs of which no rank has logged anything for ten minutes.",
            Query(f"count(min by (@by_run) ({CURRENT}) > 600) or 0 * count({LIVE})"),
            unit="short",
            absent=NO_RUN,
            steps=NONE_IS_GOOD,
        ),
        number(
            "Alerts",
            "Alerts of ours that fire, those about exporter and webhook too.",
            Query(FIRING),
            unit="short",
            absent=NO_RULES,
            steps=NONE_IS_GOOD,
        ),
        number(
            "Exporters",
            "Exporters that can be scraped.",
            Query("count(primus_lens_exporter_build_info{@cluster})"),
            unit="short",
            absent="No exporter is scraped: podMonitor.enabled=true, or docs/exporter.md",
        ),
    ],
)

TABLE = listing(
    "Live runs",
    "Each run with its newest values; loss is the mean of its ranks, and of its keys that are "
    "a training loss. A run leads to its boards.",
    {
        "project": "Project",
        "name": "Name",
        "run_id": "Run",
        "namespace": "Namespace",
        "workload": "Workload",
    },
    Column("", NAMES),
    Column("Step", f"max by (@by_run) ({STEP})", "locale", "unknown"),
    Column("Loss", LOSS, "short", "not logged"),
    Column("Speed", SPEED, "suffix: steps/s", "unknown"),
    Column("Silent", f"min by (@by_run) ({AGE})", "s", steps=TWO_IS_LATE),
    Column("Ranks", f"count by (@by_run) ({AGE})"),
    Column("GPUs", GPUS, "short", "unknown"),
    absent=NO_RUN,
    sort=("Silent", False),
    links=Links(
        "Run",
        {
            "Run": link(RUN, run="Run"),
            "Ranks": link(RANKS, run="Run"),
            "Hardware": link(HARDWARE, run="Run"),
        },
    ),
)

OVER_TIME = Row(
    "Over time",
    [
        graph(
            "Steps a second",
            "Of each run's fastest rank, over five minutes.",
            Query(SPEED, "{{run_id}}"),
            unit="suffix: steps/s",
            absent=NO_RUN,
        ),
        graph(
            "Loss",
            "Mean of the ranks, and of the keys that are a training loss.",
            Query(LOSS, "{{run_id}}"),
            unit="short",
            absent="No key that is a loss: choose another one on the board Run",
        ),
        graph(
            "Tokens a second",
            "As the runs log it: Hugging Face's Trainer at its end, Composer; of one GPU "
            "torchtitan, torchtune, Composer.",
            Query("primus_lens:tokens_per_second{@run}", "{{run_id}}"),
            Query("primus_lens:tokens_per_second_per_gpu{@run}", "{{run_id}}, a GPU"),
            unit="si: tokens/s",
            absent=f"No run logs it, or: {NO_RULES}",
        ),
        graph(
            "Log calls a second",
            "Records that the exporters have read, of each run.",
            Query(
                "sum by (@by_run) (rate(primus_lens_wandb_records_total{@rank}[$__rate_interval]))",
                "{{run_id}}",
            ),
            unit="suffix: calls/s",
            absent=NO_RUN,
            stacked=True,
        ),
    ],
)

ALERTS = listing(
    "Alerts that fire",
    "Those of ours, with their run where they have one; docs/alerts.md has a page for each.",
    {
        "alertname": "Alert",
        "severity": "Severity",
        "namespace": "Namespace",
        "pod": "Pod",
        "run_id": "Run",
        "job": "Job",
        "instance": "Instance",
    },
    Column(
        "Series",
        "count by (alertname, severity, namespace, pod, run_id, job, instance) "
        '(ALERTS{@cluster, alertname=~"PrimusLens.+", alertstate="firing"})',
    ),
    absent="None fires. If none ever does: rules.enabled=true, or the files in rules/",
    sort=("Severity", False),
    links=Links("Run", {"Run": link(RUN, run="Run")}),
)


def dashboard() -> models.Dashboard:
    """The board."""
    return board(
        RUNS,
        "Runs overview",
        "All trainings of the exporters that this Prometheus scrapes.",
        [NOW, Row("Live runs", [TABLE]), OVER_TIME, Row("Alerts", [ALERTS])],
        marked=False,
    )
