# SPDX-License-Identifier: Apache-2.0
"""Hints and alerts mean the same: both are asked of the same trainings."""

import itertools
import math
from collections import defaultdict

import pytest
import yaml
from primus_lens_exporter.live.hints import hints
from primus_lens_exporter.series.recent_history import EVERY_SECONDS

from support.boards import scenarios
from support.boards.full_world import rules_file
from support.boards.scenarios import SLOTS
from support.chart.alert_expressions import expressions
from support.chart.rules import promtool

RULES = expressions()
SEEDS = range(60)
# Rules are evaluated between two scrapes: whether those at the edges of a window are of it,
# Prometheus 2 and 3 see differently.
EVALUATED = 65  # seconds
MOMENTS = 63 * EVALUATED, 65 * EVALUATED, 69 * EVALUATED
# What is compared, and the labels by which.
BY = {
    "PrimusLensLossNotFinite": ("run_id", "key"),
    "PrimusLensLossSpike": ("run_id", "key"),
    "PrimusLensTrainingStalled": ("run_id",),
    "PrimusLensRankStraggler": ("run_id", "local_rank"),
}
# An alert waits for ten minutes; a hint does not, and takes no speed of a few samples for one.
KNOWN = " and on (run_id, local_rank) primus_lens_wandb_step offset 5m"

pytestmark = [pytest.mark.exhaustive, pytest.mark.xdist_group("worlds")]


@pytest.fixture(scope="module")
def ranks():
    return [rank for seed in SEEDS for rank in scenarios.run(seed)]


def number(value):
    return "_" if value is None else "NaN" if math.isnan(value) else repr(value)


def input_series(rank):
    """Its series as promtool takes them, one value each ten seconds."""
    pod = f'pod="p{rank.place[0]}",node_rank="0",local_rank="{rank.local}",run_id="{rank.run}"'
    seen = [rank.seen(slot) or (None, None, {}) for slot in range(SLOTS)]
    values = {f"step{{{pod}}}": [step for _, step, _ in seen]}
    values[f"last_record_timestamp_seconds{{{pod}}}"] = [at for at, _, _ in seen]
    for key in scenarios.KEYS:
        values[f'metric{{key="{key}",{pod}}}'] = [losses.get(key) for _, _, losses in seen]
        values[f'not_finite_total{{key="{key}",{pod}}}'] = counts(rank, key)
    return [
        {"series": f"primus_lens_wandb_{name}", "values": " ".join(map(number, each))}
        for name, each in values.items()
    ]


def counts(rank, key):
    """How often a key was not finite by each scrape; no series before the first time."""
    logged = ((each or (None, {}))[1].get(key, 0.0) for each in rank.logged)
    total = itertools.accumulate(not math.isfinite(loss) for loss in logged)
    return [each or None for each in total]


def there(ranks, now):
    """Those that have logged by then."""
    return [rank for rank in ranks if rank.seen(int(now // EVERY_SECONDS)) is not None]


def hinted(ranks, now):
    """{alert: [labels, …]} of our own function."""
    found = defaultdict(list)
    by_run = defaultdict(list)
    for rank in there(ranks, now):
        by_run[rank.run].append(rank)
    for run, members in by_run.items():
        for hint in hints([each.now(now, ranks) for each in members], now):
            labels = {"run_id": run, "key": hint.text.split(" is ")[0]}
            each = hint.rank_ids if "local_rank" in BY[hint.alert] else ("",)
            for local in each:
                told = labels | {"local_rank": local}
                found[hint.alert].append({name: told[name] for name in BY[hint.alert]})
    return found


def sample(value, **labels):
    return {
        "labels": "{" + ", ".join(f'{k}="{v}"' for k, v in labels.items()) + "}",
        "value": value,
    }


def expectation(expression, now, samples):
    return {"expr": expression, "eval_time": f"{now}s", "exp_samples": samples}


def compared(directory, ranks, expectations):
    """Fails with what promtool has to say of the difference."""
    document = {
        "rule_files": [rules_file(directory).name],
        "evaluation_interval": f"{EVALUATED}s",
        "group_eval_order": ["primus-lens-runs"],
        "tests": [
            {
                "interval": "10s",
                "input_series": [each for rank in ranks for each in input_series(rank)],
                "promql_expr_test": expectations,
            }
        ],
    }
    path = directory / "test.yaml"
    path.write_text(yaml.dump(document, Dumper=yaml.CSafeDumper))
    done = promtool("test", "rules", path)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def told(ranks):
    """What hints say, by the moment."""
    return {now: hinted(ranks, now) for now in MOMENTS}


def test_hints_are_what_the_alerts_expressions_return(ranks, told, tmp_path):
    asked = RULES | {"PrimusLensRankStraggler": RULES["PrimusLensRankStraggler"] + KNOWN}
    expressions = {
        alert: f"group by ({', '.join(labels)}) ({asked[alert]})" for alert, labels in BY.items()
    }
    expectations = [
        expectation(expressions[alert], now, [sample(1, **labels) for labels in found[alert]])
        for now, found in told.items()
        for alert in BY
    ]
    compared(tmp_path, ranks, expectations)


def test_steps_a_second_are_those_of_the_recording_rule(ranks, tmp_path):
    """In thousandths."""
    now, samples = MOMENTS[-1], []
    for rank in there(ranks, now):
        speed = rank.now(now, ranks).speed
        if speed is not None:
            about = {"run_id": rank.run, "local_rank": rank.local}
            samples.append(sample(math.floor(speed * 1000 + 0.5), **about))
    rounded = "max by (run_id, local_rank) (floor(primus_lens:steps_per_second * 1000 + 0.5))"
    compared(tmp_path, ranks, [expectation(rounded, now, samples)])


@pytest.mark.parametrize("alert", BY)
def test_each_kind_of_hint_is_among_them_and_is_not_everywhere(ranks, told, alert):
    with_one = {each["run_id"] for found in told.values() for each in found[alert]}
    assert 2 <= len(with_one) < len({rank.run for rank in ranks}) * 0.7


def test_a_real_exporter_hints_at_those_for_whom_alerts_would_fire(world):
    """Of runs on one node: an exporter knows no others."""
    alone = {run.logged or run.id for run in world.runs if len(run.nodes) == 1}
    told = {(hint["alert"], run["run_id"]) for run in world.told for hint in run["hints"]}
    asked = {
        (alert, labels["run_id"])
        for alert in BY
        for labels, _ in world.database.query(RULES[alert], world.end)
    }
    assert {each for each in told if each[1] in alone} == {e for e in asked if e[1] in alone}
    assert {alert for alert, _ in told} == set(BY)
