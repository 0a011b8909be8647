# SPDX-License-Identifier: Apache-2.0
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from primus_lens_exporter.decode import Record
from primus_lens_exporter.runinfo import RunInfo
from primus_lens_exporter.store import Family, Store
from prometheus_client.parser import text_string_to_metric_families

RANK = (("node_rank", "0"), ("local_rank", "1"))


def series(store):
    """What a Prometheus would read from the page, by name and labels."""
    text = store.render().decode()
    families = text_string_to_metric_families(text)
    samples = [sample for family in families for sample in family.samples]
    assert len({(s.name, *s.labels.items()) for s in samples}) == len(samples)
    return {
        (s.name.removeprefix("primus_lens_wandb_"), *s.labels.values()): s.value for s in samples
    }


def filled(*records):
    store = Store()
    store.apply(RANK, list(records), "holder")
    return store


def test_newest_value_of_each_key_and_the_count_of_records():
    store = filled(Record(1.0, {"loss": 2.0, "lr": 1}, 1, "r"), Record(2.0, {"loss": 1.5}, 2, "r"))
    assert series(store) == {
        ("metric", "0", "1", "r", "loss"): 1.5,
        ("metric", "0", "1", "r", "lr"): 1,
        ("step", "0", "1", "r"): 2,
        ("last_record_timestamp_seconds", "0", "1", "r"): 2,
        ("records_total", "0", "1", "r"): 2,
    }


@pytest.mark.parametrize(
    ("value", "number"),
    [
        ("NaN", math.nan),
        ("-Infinity", -math.inf),
        (True, 1),
        (10**400, math.inf),
        (-1e-320, -1e-320),
    ],
)
def test_values(value, number):
    got = series(filled(Record(1.0, {"k": value})))[("metric", "0", "1", "", "k")]
    assert got == number or math.isnan(number)


@pytest.mark.parametrize("value", ["text", None, {"_type": "image-file"}, [1]])
def test_what_is_no_number_makes_no_series(value):
    assert not [key for key in series(filled(Record(1.0, {"k": value}))) if key[0] == "metric"]


@given(st.text(), st.text())
def test_any_key_and_run_survive_the_text_format(key, run):
    got = series(filled(Record(1.0, {key: 1.0}, 1, run)))
    clean = run.encode("utf-8", "replace").decode(), key.encode("utf-8", "replace").decode()
    # the reference parser splits lines at \r and \x85 too, which the format does not
    if not any(c in key + run for c in "\r\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029"):
        assert ("metric", "0", "1", *clean) in got


def test_info_follows_what_is_known_and_is_one_series():
    store = filled(Record(1.0, {}, None, "r"))
    assert not store.describe(RANK, "unseen", RunInfo({"project": "p"}, {}), "holder")
    assert store.describe(RANK, "r", RunInfo({"project": "p"}, {}), "holder")
    assert store.describe(RANK, "r", RunInfo({"project": 'q"\n\\'}, {}), "holder")
    assert series(store)[("run_info", "0", "1", "r", 'q"\n\\')] == 1


def test_step_fix_counters_are_there_when_it_is_on():
    store = filled(Record(1.0, {}, None, "r"))
    store.describe(RANK, "r", RunInfo({}, {}), "holder")
    assert not [key for key in series(store) if key[0].startswith("step_fix")]
    store.describe(RANK, "r", RunInfo({}, {"logs": 3, "conflicts": 10**400}), "holder")
    assert series(store)[("step_fix_logs_total", "0", "1", "r")] == 3
    assert series(store)[("step_fix_conflicts_total", "0", "1", "r")] == math.inf
    assert series(store)[("step_fix_dropped_total", "0", "1", "r")] == 0
    store.release("holder")
    assert store.render() == b""


def test_series_end_with_their_last_holder():
    store = filled(Record(1.0, {"a": 1}, 1, "r"), Record(1.0, {"a": 1}, 1, "s"))
    store.apply(RANK, [Record(2.0, {"a": 2}, 2, "r")], "another")
    store.release("holder")
    assert {key[3] for key in series(store)} == {"r"}
    store.release("another")
    assert store.render() == b""


@given(st.lists(st.booleans() | st.floats(), max_size=60))
def test_slots_are_reused_and_never_mixed(steps):
    family, live = Family("f", "gauge", "help"), {}
    for number, step in enumerate(steps):
        if step is True and live:
            family.remove(live.pop(next(iter(live)))[0])
        else:
            live[number] = family.add(f'n="{number}"', float(step)), float(step)
    text = b"".join(family.pieces()).decode()
    samples = [s for f in text_string_to_metric_families(text) for s in f.samples]
    got = {int(sample.labels["n"]): sample.value for sample in samples}
    assert got.keys() == live.keys()
    assert all(got[n] == v or math.isnan(v) for n, (_, v) in live.items())
