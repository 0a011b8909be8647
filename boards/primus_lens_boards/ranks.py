# SPDX-License-Identifier: Apache-2.0
"""Ranks: which one is slow, behind, or gone."""

from __future__ import annotations

from grafana_foundation_sdk.models import dashboard as models

from primus_lens_boards.frame import HARDWARE, RANKS, RUN, Row, board, link
from primus_lens_boards.panels import (
    NONE_IS_GOOD,
    TWO_IS_LATE,
    Query,
    Steps,
    graph,
    number,
    rows_over_time,
)
from primus_lens_boards.promql import AGE, STEP, STEPS_PER_SECOND, ranked
from primus_lens_boards.runs import NO_RUN
from primus_lens_boards.tables import Column, Links, listing

SLOW: Steps = ((None, "red"), (0.67, "orange"), (0.9, "green"))
SKEWED: Steps = ((None, "green"), (1.2, "orange"), (1.5, "red"))
NO_SPEED = "No rank makes steps, or there is no training"

# Most trainings have ranks that log when they start, and then no more: those do not count as slow
# or behind. They are told by their log calls, which are cheaper to ask for than an hour of steps.
CALLS = "max by (@by_rank) (primus_lens_wandb_records_total{@rank})"
TALKING = f"""on (@by_rank) (
  {CALLS} > on (@by_run) group_left ()
    (max by (@by_run) (primus_lens_wandb_records_total{{@run}}) / 100)
)"""
# Of each rank, by the median of its run: 1 when all are alike. As PrimusLensRankStraggler.
ALL_SPEEDS = STEPS_PER_SECOND.replace("@rank", "@run")
RELATIVE = f"""(
  {STEPS_PER_SECOND} / on (@by_run) group_left ()
    (quantile by (@by_run) (0.5, {ALL_SPEEDS}) > 0)
  and {TALKING}
)"""
BEHIND = f"""(
  max by (@by_run) (primus_lens_wandb_step{{@run}})
    - on (@by_run) group_right () {STEP}
  and {TALKING}
)"""
LOGGED = "max by (@by_rank) (changes(primus_lens_wandb_last_record_timestamp_seconds{@rank}[%s]))"
# As the alert PrimusLensRankMissing: it kept logging, and has not for ten minutes, as others have.
MISSING = f"""(
  {LOGGED % "1h"} > 12
  unless on (cluster, namespace, run_id, node_rank, local_rank) {LOGGED % "10m"} > 0
  and on (@by_run) {LOGGED.replace("@rank", "@run") % "10m"} > 0
)"""


NOW = Row(
    "Now",
    [
        number(
            "Ranks that log",
            "Chosen ranks with a log call in the last five minutes.",
            Query(f"count({ranked(LOGGED % '5m')} > 0) or 0 * count({ranked(AGE)})"),
            unit="short",
            absent=NO_RUN,
        ),
        number(
            "Missing",
            "Chosen ranks that kept logging within the last hour, and have been silent for "
            "ten minutes, while others of their run go on.",
            Query(f"count({ranked(MISSING)}) or 0 * count({ranked(AGE)})"),
            unit="short",
            absent=NO_RUN,
            steps=NONE_IS_GOOD,
        ),
        number(
            "Stragglers",
            "Chosen ranks below two thirds of the median speed of their run.",
            Query(f"count({ranked(RELATIVE)} < 0.67) or 0 * count({ranked(RELATIVE)})"),
            unit="short",
            absent=NO_SPEED,
            steps=NONE_IS_GOOD,
        ),
        number(
            "Skew",
            "How many times as fast the median rank is as the slowest chosen one: "
            "1 when all are alike.",
            Query(f"max(1 / {ranked(RELATIVE)})"),
            unit="suffix: times",
            absent=NO_SPEED,
            steps=SKEWED,
        ),
        number(
            "Furthest behind",
            "Steps between the foremost rank of a run and the hindmost chosen one that goes on "
            "logging.",
            Query(f"max({ranked(BEHIND)})"),
            unit="suffix: steps",
            absent=NO_SPEED,
        ),
        number(
            "Longest silent",
            "Time since the newest log call of the chosen rank that has been silent longest; "
            "one that logs only at its start is that.",
            Query(f"max({ranked(AGE)})"),
            unit="s",
            absent=NO_RUN,
        ),
    ],
)

SKEW = Row(
    "Skew",
    [
        rows_over_time(
            "Speed of each rank, by the median of its run",
            "Steps a second of each chosen rank, divided by the median of its run: yellow is "
            "the median, red is slower, and stands still at 0.",
            Query(ranked(RELATIVE), "{{run_id}} {{rank}}"),
            unit="percentunit",
            absent=NO_SPEED,
            most=2,
        ),
        graph(
            "Steps behind the foremost",
            "Of each chosen rank that goes on logging.",
            Query(ranked(BEHIND), "{{run_id}} {{rank}}"),
            unit="suffix: steps",
            absent=NO_SPEED,
        ),
        graph(
            "Silent for",
            "Time since the newest log call of each chosen rank.",
            Query(ranked(AGE), "{{run_id}} {{rank}}"),
            unit="s",
            absent=NO_RUN,
        ),
        graph(
            "Stragglers",
            "Chosen ranks below two thirds of the median speed of their run.",
            Query(f"count by (@by_run) ({ranked(RELATIVE)} < 0.67)", "{{run_id}}"),
            unit="short",
            absent="None in this time",
        ),
        graph(
            "Ranks that log, and missing ones",
            "Chosen ranks with a log call in the last five minutes; and those that kept "
            "logging and stopped, while others of their run go on.",
            Query(f"count by (@by_run) ({ranked(LOGGED % '5m')} > 0)", "{{run_id}}"),
            Query(f"count by (@by_run) ({ranked(MISSING)})", "{{run_id}}, missing"),
            unit="short",
            absent=NO_RUN,
        ),
    ],
)

LABELS = {"run_id": "Run", "rank": "Rank", "namespace": "Namespace", "pod": "Pod", "node": "Node"}
TABLES = Row(
    "Which ones",
    [
        listing(
            "Ranks, slowest first",
            "Each chosen rank with what it does now. A rank leads to its curves and hardware.",
            LABELS,
            Column("Median", ranked(RELATIVE), "percentunit", "does not step", SLOW),
            Column("Speed", ranked(STEPS_PER_SECOND), "suffix: steps/s", "does not step"),
            Column("Step", ranked(STEP), "locale", "unknown"),
            Column("Behind", ranked(BEHIND), "suffix: steps"),
            Column("Silent", ranked(AGE), "s", steps=TWO_IS_LATE),
            absent=NO_RUN,
            sort=("Median", False),
            links=Links(
                "Rank",
                {
                    "Run": link(RUN, run="Run", rank="Rank"),
                    "Hardware": link(HARDWARE, run="Run", rank="Rank"),
                },
            ),
        ),
        listing(
            "Missing ranks",
            "Ranks that kept logging within the last hour, and have been silent for ten "
            "minutes, while others of their run go on. The pod says where to look.",
            LABELS,
            Column(
                "Silent", ranked(f"({AGE} and on (@by_rank) {MISSING})"), "s", steps=TWO_IS_LATE
            ),
            absent="No rank is missing",
            sort=("Silent", True),
            links=Links("Rank", {"Run": link(RUN, run="Run", rank="Rank")}),
        ),
    ],
)


def dashboard() -> models.Dashboard:
    """The board."""
    return board(
        RANKS,
        "Ranks",
        "The ranks of a run beside each other. A rank is node_rank/local_rank.",
        [NOW, SKEW, TABLES],
    )
