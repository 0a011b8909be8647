# SPDX-License-Identifier: Apache-2.0
import time

import pytest
from primus_lens_exporter.model.key_rules import RESERVED, NamedKey, Pattern, mapping
from primus_lens_exporter.model.series_rules import SeriesRules
from primus_lens_exporter.serving.telemetry import Telemetry


@pytest.mark.parametrize(
    ("allow", "deny", "key", "allowed"),
    [
        (None, None, "loss", True),
        ("train/.*", None, "train/loss", True),
        ("train/.*", None, "x/train/loss", False),  # as a whole
        ("loss", None, "loss2", False),
        (None, "debug/.*", "debug/x", False),
        (".*", "debug/.*", "debug/x", False),
        ("train|eval", None, "eval", True),
        (".*", None, "\ud800", False),
    ],
)
def test_which_keys_become_series(allow, deny, key, allowed):
    rules = SeriesRules(allow and Pattern(allow), deny and Pattern(deny))
    assert (rules.against_key(key) is None) is allowed


def test_no_pattern_is_slow_on_any_key():
    started = time.process_time()
    assert not Pattern("(a+)+b").fullmatch("a" * 5000)  # for ever, with backtracking
    assert time.process_time() - started < 1


@pytest.mark.parametrize("text", ["(", "[a", "(?=a)"])
def test_a_bad_pattern_is_named(text):
    with pytest.raises(ValueError, match="is no RE2 pattern"):
        Pattern(text)


def test_a_mapping_file(tmp_path):
    path = tmp_path / "names.yaml"
    path.write_text("metrics: [{key: step_ms, name: step_seconds, scale: 0.001, help: a\\b}]")
    assert mapping(str(path)) == {"step_ms": NamedKey("step_seconds", "a\\\\b", 0.001)}


@pytest.mark.parametrize(
    "name",
    [
        "update_norm",
        "upper_bound",
        "process_reward_mean",
        "go_score",
        "scrape_loss",
        "python_share",
    ],
)
def test_a_name_that_only_begins_like_a_reserved_one_is_taken(tmp_path, name):
    path = tmp_path / "names.yaml"
    path.write_text(f"metrics: [{{key: a, name: {name}}}]")
    assert mapping(str(path))["a"].name == name


@pytest.mark.parametrize("name", ["up", "scrape_samples_scraped", "ALERTS", "target_info"])
def test_what_prometheus_makes_is_reserved(tmp_path, name):
    path = tmp_path / "names.yaml"
    path.write_text(f"metrics: [{{key: a, name: {name}}}]")
    with pytest.raises(ValueError, match="reserved"):
        mapping(str(path))


def test_all_series_of_the_page_are_reserved():
    lines = Telemetry().render().decode().splitlines()
    names = {line.split()[2] for line in lines if line.startswith("# TYPE")}
    names |= {line.partition("{")[0].partition(" ")[0] for line in lines if line[0] != "#"}
    assert {"process_open_fds", "primus_lens_exporter_series"} <= names
    assert [name for name in names if not RESERVED.fullmatch(name)] == []


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("{", "YAML|expected|parsing"),
        ("metrics: [{key: a}]", "name"),
        ("metrics: [{key: a, name: b, unit: s}]", "unit"),
        ("metrics: [{key: a, name: b-c}]", "'b-c' is no metric name"),
        ("metrics: [{key: a, name: primus_lens_x}]", "reserved"),
        ("metrics: [{key: a, name: b}, {key: c, name: b}]", "twice"),
        ("metrics: [{key: a, name: b}, {key: a, name: c}]", "twice"),
    ],
)
def test_a_bad_mapping_file_says_what_is_wrong(tmp_path, text, complaint):
    path = tmp_path / "names.yaml"
    path.write_text(text)
    with pytest.raises(ValueError, match=complaint):
        mapping(str(path))


def test_a_mapping_file_that_is_not_there(tmp_path):
    with pytest.raises(ValueError, match="No such file"):
        mapping(str(tmp_path / "gone"))
