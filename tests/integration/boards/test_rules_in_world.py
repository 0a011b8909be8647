# SPDX-License-Identifier: Apache-2.0
"""Every rule, on a Prometheus that has scraped real exporters of trainings with every fault."""

import re

import pytest
import yaml

from support.boards.full_world import PEAK
from support.boards.playing import SECONDS
from support.boards.runs import CLEAN, COMPOSER, FAULTY, HUGGING_FACE, MEGATRON, STEPS, TORCHTITAN
from support.chart import charting

RULES = charting.CHART / "rules"
ADDED = {"__name__", "alertname", "alertstate", "severity"}
OF_TARGET = {"job", "namespace", "pod", "endpoint"}


def every(file, kind):
    groups = yaml.safe_load((RULES / file).read_text())["groups"]
    return {rule[kind]: rule for group in groups for rule in group["rules"]}


ALERTS = every("primus-lens-alerts.yaml", "alert")
RECORDS = every("primus-lens-recording.yaml", "record")
HERE, THERE = {"namespace": "research"}, {"namespace": "vision"}


def straggler(run, local):
    place = {"container": "main", "node": "node-b", "node_rank": "1", "local_rank": local}
    return {**HERE, "pod": f"{run}-1", "run_id": run, **place}


# Who is at fault, for each alert. Of a target, its instance says it.
FIRING = {
    "PrimusLensLossNotFinite": [{**HERE, "pod": "nan-0", "run_id": "nan", "key": "lm loss"}],
    "PrimusLensTrainingStalled": [{**HERE, "run_id": "stalled"}],
    "PrimusLensThroughputDrop": [{**THERE, "run_id": "slow"}],
    "PrimusLensRankStraggler": [
        straggler("straggler", "1"), straggler("missing", "0"), straggler("missing", "1"),
    ],
    "PrimusLensRankMissing": [{**HERE, "pod": "missing-1", "run_id": "missing"}],
    "PrimusLensRanksDiverged": [{**HERE, "run_id": "straggler"}],
    "PrimusLensLossSpike": [{**HERE, "pod": "spike-0", "run_id": "spike", "key": "loss"}],
    "PrimusLensGPUIdle": [{**THERE, "pod": "idle-0", "run_id": "idle"}],
    "PrimusLensStepConflicts": [{**HERE, "pod": "conflicts-0", "run_id": "conflicts"}],
    "PrimusLensExporterDown": [{"instance": "exporter-d"}],
    "PrimusLensExporterLag": [{"namespace": "team", "pod": "flood"}],
    "PrimusLensExporterStuck": [{"instance": "exporter-e", "path": "/mnt"}],
    "PrimusLensSeriesDropped": [{"instance": "exporter-b", "reason": "keys_per_rank"}],
    "PrimusLensPodsNotInjected": [{"instance": "exporter-a", "state": "expected_not_injected"}],
    "PrimusLensPodSilent": [{"namespace": "team", "workload_kind": "Pod", "workload": "silent"}],
    "PrimusLensWebhookDown": [{"job": "gone-webhook"}],
    "PrimusLensWebhookFailingOpen": [{"job": "lens-webhook"}, {"name": "pod.wandb.primus-lens.io"}],
    "PrimusLensWebhookSlow": [{"job": "slow-webhook"}],
    "PrimusLensCertificateExpiring": [{"instance": "webhook-1"}],
    "PrimusLensCABundleOutOfSync": [{"instance": "webhook-2"}],
}  # fmt: skip
pytestmark = [pytest.mark.exhaustive, pytest.mark.xdist_group("worlds")]
each_alert = pytest.mark.parametrize("alert", ALERTS)


def who(result):
    """The labels that say who it is, sorted."""
    left = [ADDED | OF_TARGET if "instance" in labels else ADDED for labels, _ in result]
    named = [
        {name: value for name, value in labels.items() if name not in out}
        for (labels, _), out in zip(result, left, strict=True)
    ]
    return sorted(named, key=repr)


def expected(alert):
    return sorted((dict(sorted(each.items())) for each in FIRING[alert]), key=repr)


@each_alert
def test_an_alert_fires_for_those_at_fault_and_nobody_else(world, alert):
    firing = f'ALERTS{{alertname="{alert}", alertstate="firing"}}'
    assert who(world.database.query(firing, world.now)) == expected(alert)


@each_alert
def test_its_expression_returns_those_at_fault_and_nobody_else(world, alert):
    assert who(world.database.query(ALERTS[alert]["expr"], world.now)) == expected(alert)


def test_nothing_ever_fires_for_a_run_without_a_fault(world):
    fired = world.database.query('count_over_time(ALERTS{alertstate="firing"}[2h])', world.now)
    seen = world.database.query("count_over_time(primus_lens_wandb_step[2h])", world.now)
    clean = {run.logged or run.id for run in CLEAN}
    assert clean.isdisjoint(labels.get("run_id") for labels, _ in fired)
    assert clean <= {labels["run_id"] for labels, _ in seen}


def test_alerts_go_on_where_they_were_when_prometheus_was_started_again(world):
    since = "ALERTS_FOR_STATE"
    (before, after) = (
        {tuple(labels.items()): value for labels, value in world.database.query(since, at)}
        for at in (world.end, world.now)
    )
    assert len(before) > 10
    assert {labels: after.get(labels) for labels in before} == before


# Of which runs a recording rule is; `finished` has ended.
THERE_ARE = {run.logged or run.id: run for run in (*CLEAN, *FAULTY) if not run.finished}
LOGGING = set(THERE_ARE) - {"killed"}
KEYED = {
    keys: {name for name, run in THERE_ARE.items() if {*keys} <= {*run.keys}}
    for keys in (COMPOSER, HUGGING_FACE, MEGATRON, TORCHTITAN)
}
SAMPLED = {name for name, run in THERE_ARE.items() if run.gpus}
RECORDED = {
    "primus_lens:steps_per_second": set(THERE_ARE),
    "primus_lens:seconds_since_last_record": {*THERE_ARE, "flood"},
    "primus_lens:stuck_seconds": set(),
    "primus_lens:samples_per_second": {
        name for keys in (COMPOSER, HUGGING_FACE, MEGATRON) for name in KEYED[keys]
    },
    "primus_lens:tokens_per_second": KEYED[HUGGING_FACE] | KEYED[COMPOSER],
    "primus_lens:tokens_per_second_per_gpu": KEYED[TORCHTITAN] | KEYED[COMPOSER],
    "primus_lens:rank_skew_ratio": LOGGING - {"stalled"},
    "primus_lens:mfu_ratio": KEYED[MEGATRON],
    "primus_lens:run_of_container": LOGGING,
    "primus_lens:gpu_of_run": SAMPLED,
    "primus_lens:gpu_utilization_ratio:joined": SAMPLED,
    "primus_lens:gpu_tensor_active_ratio:joined": SAMPLED - {"slow"},
    "primus_lens:gpu_dcgm_utilization_ratio:joined": SAMPLED - {"slow"},
    "primus_lens:gpu_amd_utilization_ratio:joined": {"slow"},
    "primus_lens:node_cpu_utilization_ratio:joined": {
        name for name in LOGGING if "a" in THERE_ARE[name].nodes
    },
}


@pytest.mark.parametrize("record", RECORDED)
def test_a_recording_rule_is_of_those_whose_source_there_is(world, record):
    result = world.database.query(record, world.now)
    assert {labels["run_id"] for labels, _ in result} == RECORDED[record]


def test_no_recording_rule_is_without_expectation():
    assert RECORDS.keys() == RECORDED.keys() - {"primus_lens:mfu_ratio"}


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ('primus_lens:steps_per_second{run_id="healthy"}', STEPS / SECONDS),
        ('primus_lens:steps_per_second{run_id="slow"}', STEPS / SECONDS * 0.2),
        ('primus_lens:rank_skew_ratio{run_id="straggler"}', 2.5),
        ('primus_lens:samples_per_second{run_id="nan"}', 128 / 1.5),
        ('primus_lens:mfu_ratio{run_id="nan"}', 4e14 * STEPS / SECONDS / PEAK),
        ('primus_lens:gpu_utilization_ratio:joined{run_id="idle"}', 0.01),
        ('primus_lens:gpu_tensor_active_ratio:joined{run_id="healthy"}', 0.5),
        ('primus_lens:gpu_amd_utilization_ratio:joined{run_id="slow"}', 0.7),
    ],
)
def test_what_is_recorded_is_right(world, expression, value):
    result = world.database.query(expression, world.end)
    assert [each for _, each in result] == pytest.approx([value] * len(result), rel=0.05)
    assert result


def test_the_old_run_of_a_pod_is_not_its_run_any_more(world):
    result = world.database.query('primus_lens:run_of_container{pod="killed-0"}', world.now)
    assert [labels["run_id"] for labels, _ in result] == ["restarted"]


# Where nobody knows of pods.
WITHOUT_KUBERNETES = {
    ("PrimusLensLossNotFinite", "second"),
    ("PrimusLensRankStraggler", "third"),
    ("PrimusLensRanksDiverged", "third"),
    ("PrimusLensStepConflicts", "third"),
    ("PrimusLensRankMissing", "fourth"),
    ("PrimusLensRankStraggler", "fourth"),
}


def test_without_kubernetes_alerts_are_of_runs_all_the_same(bare):
    firing = bare.database.query('ALERTS{alertstate="firing"}', bare.now)
    assert {(each["alertname"], each["run_id"]) for each, _ in firing} == WITHOUT_KUBERNETES
    assert not any({"namespace", "pod"} & each.keys() for each, _ in firing)


def test_without_its_source_a_recording_rule_gives_nothing(bare):
    given = {record for record in RECORDS if bare.database.query(record, bare.now)}
    foreign = {each for each in RECORDS if re.search("tensor|dcgm|amd|node_cpu|stuck", each)}
    assert given == set(RECORDS) - foreign
