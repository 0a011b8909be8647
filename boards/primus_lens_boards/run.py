# SPDX-License-Identifier: Apache-2.0
"""Run: the curves of one run, or of several beside each other."""

from __future__ import annotations

from grafana_foundation_sdk.models import dashboard as models

from primus_lens_boards import variables
from primus_lens_boards.frame import RUN, Row, board
from primus_lens_boards.panels import TWO_IS_LATE, Query, graph, number
from primus_lens_boards.promql import (
    AGE,
    GRADIENT_NORM,
    LEARNING_RATE,
    LOSS,
    STEP,
    STEPS_PER_SECOND,
    ranked,
)
from primus_lens_boards.runs import NO_RULES, NO_RUN

ELSEWHERE = "Not logged under a usual name: choose its key below"
METRIC = "max by (@by_rank, key) (primus_lens_wandb_metric{@rank, %s})"


def _mean(keys: str) -> Query:
    chosen = ranked(METRIC % keys)
    return Query(f"avg by (@by_run, key) ({chosen})", "{{run_id}} {{key}}")


NOW = Row(
    "Now",
    [
        number(
            "Step",
            "Newest step of the foremost of the chosen ranks.",
            Query(f"max by (@by_run) ({ranked(STEP)})", "{{run_id}}"),
            unit="locale",
            absent=NO_RUN,
            width=6,
        ),
        number(
            "Silent for",
            "Time since the newest log call of the chosen ranks.",
            Query(f"min by (@by_run) ({ranked(AGE)})", "{{run_id}}"),
            unit="s",
            absent=NO_RUN,
            width=6,
            steps=TWO_IS_LATE,
        ),
        number(
            "Steps a second",
            "Of the fastest of the chosen ranks, over five minutes.",
            Query(f"max by (@by_run) ({ranked(STEPS_PER_SECOND)})", "{{run_id}}"),
            unit="suffix: steps/s",
            absent=NO_RUN,
            width=6,
        ),
        number(
            "Step conflicts",
            "Log calls so far that wandb alone would have dropped for their step.",
            Query(
                "sum by (@by_run) (max by (@by_rank) "
                "(primus_lens_wandb_step_fix_conflicts_total{@rank}))",
                "{{run_id}}",
            ),
            unit="locale",
            absent="The step fix is off, or there is no training",
            width=6,
        ),
    ],
)

CURVES = Row(
    "Loss, learning rate, gradient norm",
    [
        graph(
            "Loss",
            "Keys that are a loss, evaluation's too; mean of the chosen ranks.",
            _mean(LOSS),
            unit="short",
            absent=ELSEWHERE,
            width=24,
        ),
        graph(
            "Learning rate",
            "Keys that are a learning rate, of each group of parameters.",
            _mean(LEARNING_RATE),
            unit="sci",
            absent=ELSEWHERE,
        ),
        graph(
            "Gradient norm",
            "Keys that are the norm of the gradient; mean of the chosen ranks.",
            _mean(GRADIENT_NORM),
            unit="short",
            absent=ELSEWHERE,
        ),
    ],
)

SPEED = Row(
    "Speed",
    [
        graph(
            "Steps a second",
            "Of each of the chosen ranks, over five minutes; 0 while a resumed run goes back.",
            Query(ranked(STEPS_PER_SECOND), "{{run_id}} {{rank}}"),
            unit="suffix: steps/s",
            absent=NO_RUN,
        ),
        graph(
            "Step",
            "Newest step of each of the chosen ranks. It falls where a run was resumed.",
            Query(ranked(STEP), "{{run_id}} {{rank}}"),
            unit="locale",
            absent=NO_RUN,
        ),
        graph(
            "Tokens a second",
            "As the run logs it: Hugging Face's Trainer at its end, Composer; of one GPU "
            "torchtitan, torchtune, Composer.",
            Query("primus_lens:tokens_per_second{@run}", "{{run_id}}"),
            Query("primus_lens:tokens_per_second_per_gpu{@run}", "{{run_id}}, a GPU"),
            unit="si: tokens/s",
            absent=f"The run does not log it, or: {NO_RULES}",
            width=8,
        ),
        graph(
            "Samples a second",
            "As the run logs it: Hugging Face's Trainer at its end, Composer, Megatron.",
            Query("primus_lens:samples_per_second{@run}", "{{run_id}}"),
            unit="suffix: samples/s",
            absent=f"The run does not log it, or: {NO_RULES}",
            width=8,
        ),
        graph(
            "Model FLOPs utilization",
            "By the recording rule, where the run logs flops_per_step; "
            "and what torchtitan and Composer log themselves.",
            Query("primus_lens:mfu_ratio{@run}", "{{run_id}}"),
            Query(
                'max by (@by_run) (primus_lens_wandb_metric{@rank, key="mfu(%)"}) / 100',
                "{{run_id}}, as logged",
            ),
            Query(
                'max by (@by_run) (primus_lens_wandb_metric{@rank, key="throughput/device/mfu"})',
                "{{run_id}}, as logged",
            ),
            unit="percentunit",
            absent="Not logged; or set rules.peakFlopsPerGpu, and log flops_per_step",
            width=8,
        ),
    ],
)

# The key is taken for a pattern, as Grafana escapes it for one.
EACH_KEY = graph(
    "$key",
    "The key as each of the chosen ranks logs it; one such panel for each key of $key.",
    Query(ranked(METRIC % 'key=~"$key"'), "{{run_id}} {{rank}}"),
    unit="short",
    absent="Not logged by the chosen runs and ranks in this time",
    width=24,
)
EACH_KEY.repeat("key").repeat_direction("h").max_per_row(3)
KEYS = Row("Keys of $key", [EACH_KEY])


def dashboard() -> models.Dashboard:
    """The board."""
    return board(
        RUN,
        "Run",
        "What a run logs. Several runs are drawn into the same graphs.",
        [NOW, CURVES, SPEED, KEYS],
        variables=[variables.key()],
    )
