# SPDX-License-Identifier: Apache-2.0
"""The rules, as promtool evaluates them: what *_test.yaml say comes of them."""

import functools
import re
import shutil
from pathlib import Path

import pytest
import yaml

from support.chart import charting, helm
from support.chart.rules import ALERTS, MFU, RECORDING, names, promtool

TESTS = {path.name: path for path in Path(__file__).parent.glob("*_test.yaml")}


def rendered(**values):
    rules = charting.found({"rules": {"enabled": True, **values}})["PrometheusRule", "rules"]
    return rules["spec"]


@pytest.fixture
def rules(tmp_path):
    path = tmp_path / "rules.yaml"
    path.write_text(yaml.safe_dump(rendered(peakFlopsPerGpu=1e15)))
    return path


@pytest.mark.parametrize("tests", sorted(TESTS))
def test_each_rule_gives_what_it_should_and_nothing_where_its_source_is_absent(rules, tests):
    shutil.copy(TESTS[tests], rules.parent)
    done = promtool("test", "rules", rules.parent / tests)
    assert done.returncode == 0, done.stdout + done.stderr


def test_promtool_finds_nothing_wrong_with_the_rules(rules):
    for path in (RECORDING, ALERTS, rules):
        done = promtool("check", "rules", "--lint-fatal", path)
        assert done.returncode == 0, done.stdout + done.stderr


def test_no_rule_is_without_a_test():
    tested = re.findall(r"expr: (primus_lens:[\w:]+)", TESTS["rules_test.yaml"].read_text())
    assert set(names(rendered(peakFlopsPerGpu=1), "record")) == set(tested)


def test_each_alert_is_seen_before_while_and_after_it_fires():
    expected = {name: [] for name in names(rendered(), "alert")}
    for test in yaml.safe_load(TESTS["alerts_test.yaml"].read_text())["tests"]:
        for each in test.get("alert_rule_test", ()):
            expected[each["alertname"]].append(bool(each["exp_alerts"]))
    for alert, fires in expected.items():
        assert fires[0] is fires[-1] is False, alert
        assert any(fires), alert


def test_the_operator_gets_the_rules_of_the_files():
    recording, alerts = (yaml.safe_load(path.read_text()) for path in (RECORDING, ALERTS))
    assert rendered(alerts=False) == recording
    assert rendered() == {"groups": recording["groups"] + alerts["groups"]}
    for peak in (989_000_000_000_000, 9.89e14, "9.89e14"):  # the last one: of --set
        with_peak = rendered(peakFlopsPerGpu=peak)
        assert names(with_peak, "record") == [*names(recording, "record"), MFU]
        assert names(with_peak, "alert") == names(alerts, "alert")


def test_there_are_none_unless_they_are_enabled():
    assert ("PrometheusRule", "rules") not in charting.found()


def runbooks(**values):
    spec = rendered(**values)
    rules = [rule for group in spec["groups"] for rule in group["rules"] if "alert" in rule]
    return {
        rule["annotations"]["runbook_url"].removesuffix(f"/{rule['alert']}.md") for rule in rules
    }


def test_the_runbooks_are_where_a_value_says():
    assert runbooks() == {"docs/runbooks"}
    assert runbooks(runbookUrl="https://wiki.example/r/") == {"https://wiki.example/r"}


@pytest.mark.skipif(helm.COMMAND is not None, reason="the command reads the chart itself")
def test_the_runbooks_of_a_released_chart_are_links(monkeypatch, tmp_path):
    chart = shutil.copytree(charting.CHART, tmp_path / "chart")
    with (chart / "Chart.yaml").open("a") as file:
        file.write("home: https://forge.example/team/lens\n")
    monkeypatch.setattr(helm, "CHART", chart)
    monkeypatch.setattr(helm, "loaded", functools.cache(helm.loaded.__wrapped__))
    version = yaml.safe_load((chart / "Chart.yaml").read_text())["version"]
    assert runbooks() == {f"https://forge.example/team/lens/blob/v{version}/docs/runbooks"}
