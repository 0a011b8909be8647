# SPDX-License-Identifier: Apache-2.0
"""The recording rules, as promtool evaluates them: what rules_test.yaml says comes of them."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from chart import charting

PLAIN = charting.CHART / "rules" / "primus-lens-recording.yaml"
TESTS = Path(__file__).with_name("rules_test.yaml")
MFU = "primus_lens:mfu_ratio"


def promtool(*arguments):
    program = shutil.which("promtool") or pytest.skip("promtool is not installed")
    return subprocess.run([program, *arguments], capture_output=True, text=True)


def rendered(**values):
    rules = charting.found({"rules": {"enabled": True, **values}})["PrometheusRule", "rules"]
    return rules["spec"]


def records(spec):
    return [rule["record"] for group in spec["groups"] for rule in group["rules"]]


@pytest.fixture
def rules(tmp_path):
    path = tmp_path / "rules.yaml"
    path.write_text(yaml.safe_dump(rendered(peakFlopsPerGpu=1e15)))
    return path


def test_each_rule_gives_what_it_should_and_nothing_where_its_source_is_absent(rules):
    shutil.copy(TESTS, rules.parent)
    done = promtool("test", "rules", rules.parent / TESTS.name)
    assert done.returncode == 0, done.stdout + done.stderr


def test_promtool_finds_nothing_wrong_with_the_rules(rules):
    for path in (PLAIN, rules):
        done = promtool("check", "rules", "--lint-fatal", path)
        assert done.returncode == 0, done.stdout + done.stderr


def test_no_rule_is_without_a_test():
    tested = re.findall(r"expr: (primus_lens:[\w:]+)", TESTS.read_text())
    assert set(records(rendered(peakFlopsPerGpu=1))) == set(tested)


def test_the_operator_gets_the_rules_of_the_file():
    plain = yaml.safe_load(PLAIN.read_text())
    assert rendered() == plain
    for peak in (989_000_000_000_000, 9.89e14, "9.89e14"):  # the last one: of --set
        assert records(rendered(peakFlopsPerGpu=peak)) == [*records(plain), MFU]


def test_there_are_none_unless_they_are_enabled():
    assert ("PrometheusRule", "rules") not in charting.found()
