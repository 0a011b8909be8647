# SPDX-License-Identifier: Apache-2.0
"""What whoever is woken by an alert reads of it, and that the series it asks for are ours."""

import re

import pytest
import yaml

from support.chart import charting
from support.chart.rules import asked_for
from support.repository import ROOT

RULES = charting.CHART / "rules"
DOCS = ROOT / "docs"
RUNBOOKS = DOCS / "runbooks"
SECTIONS = ["Meaning", "Look", "Do", "Silence"]
# Of Prometheus, and of API servers since Kubernetes 1.24.
FOREIGN = {"up", "apiserver_admission_webhook_fail_open_count"}


def every(path):
    groups = yaml.safe_load((RULES / path).read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


ALERTS = {rule["alert"]: rule for rule in every("primus-lens-alerts.yaml")}
RECORDED = {rule["record"] for rule in every("primus-lens-recording.yaml")}
each_alert = pytest.mark.parametrize("alert", ALERTS)


def documented():
    """Names in the tables of series; a histogram's are those of its buckets."""
    text = (DOCS / "metrics.md").read_text() + (DOCS / "injection.md").read_text()
    names = set(re.findall(r"^\| `(primus_lens_\w+)", text, re.MULTILINE))
    return names | {f"{name}_bucket" for name in names if name.endswith("_duration_seconds")}


@each_alert
def test_an_alert_says_how_bad_it_is_and_what_and_where(alert):
    rule = ALERTS[alert]
    assert re.fullmatch(r"PrimusLens[A-Z]\w+", alert)
    assert rule["labels"].keys() == {"severity"}
    assert rule["labels"]["severity"] in {"critical", "warning", "info"}
    assert rule["annotations"].keys() == {"summary", "description", "runbook_url"}
    assert "{{" not in rule["annotations"]["summary"]
    where = r"\$labels\.(run_id|pod|workload|instance|job)\b"
    assert re.search(where, rule["annotations"]["description"])


@each_alert
def test_no_number_is_shown_as_it_is(alert):
    description = ALERTS[alert]["annotations"]["description"]
    assert all("| humanize" in each for each in re.findall(r"{{[^}]*\$value[^}]*}}", description))


@each_alert
def test_an_alert_has_a_page_that_says_what_to_do(alert):
    page = ROOT / ALERTS[alert]["annotations"]["runbook_url"]
    assert page == RUNBOOKS / f"{alert}.md"
    title, *sections = re.findall(r"^##? (.+)$", page.read_text(), re.MULTILINE)
    assert (title, sections) == (alert, SECTIONS)
    assert f'alertname="{alert}"' in page.read_text()


@each_alert
def test_an_alert_asks_only_for_series_that_there_are(alert):
    assert asked_for(ALERTS[alert]["expr"]) <= documented() | RECORDED | FOREIGN


def test_expressions_are_taken_apart_rightly():
    expression = 'max by (a) (f(x_total{b="c}"}[5m] offset 5m)) > on (d) group_left () y:z or up'
    assert asked_for(expression) == {"x_total", "y:z", "up"}


def test_each_alert_is_in_the_table_and_there_are_no_other_pages():
    rows = r"^\| \[(\w+)\]\(runbooks/(\w+)\.md\)"
    table = re.findall(rows, (DOCS / "alerts.md").read_text(), re.MULTILINE)
    assert table == [(alert, alert) for alert in ALERTS]
    assert {page.stem for page in RUNBOOKS.iterdir()} == set(ALERTS)


@each_alert
def test_the_table_has_the_severity(alert):
    row = re.search(rf"^\| \[{alert}\].*$", (DOCS / "alerts.md").read_text(), re.MULTILINE)
    assert f"| {ALERTS[alert]['labels']['severity']} |" in row[0]
