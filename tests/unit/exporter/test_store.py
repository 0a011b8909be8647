# SPDX-License-Identifier: Apache-2.0
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from primus_lens_exporter.model.key_rules import NamedKey, Pattern
from primus_lens_exporter.model.quota import Quota
from primus_lens_exporter.model.record import Record
from primus_lens_exporter.model.run_info import RunInfo
from primus_lens_exporter.model.series_rules import SeriesRules
from primus_lens_exporter.series.metric_family import MetricFamily
from primus_lens_exporter.series.store import Store
from prometheus_client.parser import text_string_to_metric_families

from support.holding import Holder, give

RANK = (("node_rank", "0"), ("local_rank", "1"))


def series(store):
    """What a Prometheus would read from the page, by name and labels."""
    text = b"".join(store.parts()).decode()
    families = text_string_to_metric_families(text)
    samples = [sample for family in families for sample in family.samples]
    assert len({(s.name, *s.labels.items()) for s in samples}) == len(samples)
    return {
        (s.name.removeprefix("primus_lens_wandb_"), *s.labels.values()): s.value for s in samples
    }


def take(store, holder, *records, rank=RANK):
    give(store, rank, list(records), holder)


def an_empty(**settings):
    return Store(SeriesRules(**settings))


def filled(*records, holder=None, **settings):
    store = an_empty(**settings)
    take(store, holder or Holder(), *records)
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


def late(at, step, **data):
    return Record(at, data, step, "r", late=True)


def row(at, step, **data):
    return Record(at, data, step, "r")


def test_a_late_row_counts_and_sets_its_keys_and_no_step():
    store = filled(row(1.0, 7, loss=1), late(2.0, 900, **{"eval/loss": 3}))
    assert series(store) == {
        ("metric", "0", "1", "r", "loss"): 1,
        ("metric", "0", "1", "r", "eval/loss"): 3,
        ("step", "0", "1", "r"): 7,
        ("last_record_timestamp_seconds", "0", "1", "r"): 2,
        ("records_total", "0", "1", "r"): 2,
    }


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 99)), min_size=1), st.booleans())
def test_the_step_is_that_of_the_newest_row_that_is_not_late(rows, at_once):
    """Lower than the one before it too: a run that is resumed from a checkpoint goes back."""
    records = [Record(at, {}, step, "r", late=late) for at, (late, step) in enumerate(rows)]
    store = an_empty()
    for batch in [records] if at_once else [[each] for each in records]:
        take(store, Holder(), *batch)
    steps = [step for late, step in rows if not late]
    assert series(store).get(("step", "0", "1", "r")) == (steps[-1] if steps else None)


def test_a_run_of_late_rows_has_no_step_until_another_row_comes():
    holder = Holder(4)
    store = filled(late(1.0, 9, a=1), holder=holder)
    assert not [key for key in series(store) if key[0] == "step"]
    assert holder.quota.used == len(series(store)) == 3
    take(store, holder, row(2.0, 3))
    assert series(store)[("step", "0", "1", "r")] == 3
    store.release(holder)
    assert holder.quota.used == 0


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
    # Keys of our own make other series. The reference parser splits lines at \r and \x85 too,
    # which the format does not.
    if not key.startswith("_primus_") and not any(
        c in key + run for c in "\r\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029"
    ):
        assert ("metric", "0", "1", *clean) in got


def test_info_follows_what_is_known_and_is_one_series():
    store, holder = filled(Record(1.0, {}, None, "r")), Holder()
    assert not store.describe(RANK, "unseen", RunInfo({"project": "p"}, {}), holder)
    assert store.describe(RANK, "r", RunInfo({"project": "p"}, {}), holder)
    assert store.describe(RANK, "r", RunInfo({"project": 'q"\n\\'}, {}), holder)
    assert series(store)[("run_info", "0", "1", "r", 'q"\n\\')] == 1


def test_a_name_that_is_too_long_is_cut():
    store = filled(Record(1.0, {}, None, "r"), limits_label_bytes=4)
    store.describe(RANK, "r", RunInfo({"name": "ünïcode"}, {}), Holder())
    assert series(store)[("run_info", "0", "1", "r", "ün")] == 1  # not half a character


def test_step_fix_counters_are_there_when_it_is_on():
    holder = Holder()
    store = filled(Record(1.0, {}, None, "r"), holder=holder)
    store.describe(RANK, "r", RunInfo({}, {}), holder)
    assert not [key for key in series(store) if key[0].startswith("step_fix")]
    store.describe(RANK, "r", RunInfo({}, {"logs": 3, "conflicts": 10**400}), holder)
    assert series(store)[("step_fix_logs_total", "0", "1", "r")] == 3
    assert series(store)[("step_fix_conflicts_total", "0", "1", "r")] == math.inf
    assert series(store)[("step_fix_dropped_total", "0", "1", "r")] == 0
    store.release(holder)
    assert list(store.parts()) == []
    assert holder.quota.used == 0


def test_series_end_with_their_last_holder():
    holder, another = Holder(), Holder()
    store = filled(Record(1.0, {"a": 1}, 1, "r"), Record(1.0, {"a": 1}, 1, "s"), holder=holder)
    take(store, another, Record(2.0, {"a": 2}, 2, "r"))
    store.release(holder)
    assert {key[3] for key in series(store)} == {"r"}
    store.release(another)
    assert list(store.parts()) == []


@pytest.mark.parametrize("finish", [4.0, 5.0, 6.0])
def test_a_run_ends_whatever_the_clock_was_at_its_finish(finish):
    holder = Holder()
    store = filled(Record(5.0, {"a": 1}, 1, "r"), holder=holder)
    store.end(RANK, "r", finish, holder)
    assert list(store.parts()) == []
    assert holder.quota.used == 0


@pytest.mark.parametrize(
    ("limit", "settings", "reason", "made"),
    [
        (6, {}, "series_per_pod", 6),
        (2, {}, "series_per_pod", 2),
        (1, {}, "series_per_pod", 0),
        (99, {"limits_keys_per_rank": 5}, "keys_per_rank", 8),
        (99, {"limits_label_bytes": 4}, "label_bytes", 3),
        (99, {"keys_deny": Pattern("key/[0-5]")}, "key_rules", 7),
        (99, {"keys_allow": Pattern("key/[0-5]")}, "key_rules", 9),
    ],
)
def test_what_exceeds_a_limit_is_left_out_and_counted(limit, settings, reason, made):
    holder = Holder(limit)
    store = filled(Record(1.0, {f"key/{n}": n for n in range(10)}, 1), holder=holder, **settings)
    take(store, holder, Record(2.0, {"key/9": 10}, 1))
    assert len(series(store)) == made == holder.quota.used
    assert set(holder.drops) == {reason}
    store.release(holder)
    assert holder.quota.used == 0


def test_what_is_left_out_costs_the_others_nothing():
    node = Quota(8, "series_per_node")
    greedy, modest = Holder(1000, node), Holder(1000, node)
    store = an_empty()
    take(store, modest, Record(1.0, {"loss": 1}, 1, "r"), rank=(("local_rank", "0"),))
    take(store, greedy, Record(1.0, {str(n): n for n in range(99)}, 1), rank=(("pod", "x"),))
    take(store, modest, Record(2.0, {"loss": 2}, 2, "r"), rank=(("local_rank", "0"),))
    assert series(store)[("metric", "0", "r", "loss")] == 2
    assert greedy.drops == {"series_per_node": 98}
    store.release(greedy)
    take(store, modest, Record(3.0, {"lr": 1}, 3, "r"), rank=(("local_rank", "0"),))
    assert series(store)[("metric", "0", "r", "lr")] == 1


def test_a_known_key_has_a_metric_of_its_own_in_base_units():
    named = {"time/step_ms": NamedKey("training_step_seconds", "Time of a step.", 0.001)}
    holder = Holder()
    record = Record(1.0, {"time/step_ms": 250, "x": 1}, 1)
    store = filled(record, holder=holder, keys_mapping_file=named)
    assert series(store)[("training_step_seconds", "0", "1", "")] == 0.25
    assert series(store)[("metric", "0", "1", "", "time/step_ms")] == 250
    store.release(holder)
    assert list(store.parts()) == []


def test_a_key_that_is_left_out_has_no_series_until_it_has_a_value_again():
    holder, named = Holder(), {"a/loss": NamedKey("a_loss", "A loss.", 1)}
    store = filled(row(1.0, 1, **{"a/loss": 1, "b": 2}), holder=holder, keys_mapping_file=named)
    before = series(store)
    store.leave_out(RANK, "r", "a/loss")
    assert before.items() - series(store).items() == {
        (("metric", "0", "1", "r", "a/loss"), 1),
        (("a_loss", "0", "1", "r"), 1),
    }
    assert holder.quota.used == len(series(store))
    assert not store.runs[RANK, "r"].losses
    take(store, holder, row(99.0, 2, **{"a/loss": 3}))
    assert series(store)["metric", "0", "1", "r", "a/loss"] == 3
    store.release(holder)
    assert (holder.quota.used, store._families.key_cache._known) == (0, {})


def test_keys_that_nobody_uses_are_forgotten():
    holder = Holder()
    store = filled(Record(1.0, {"a": 1}, 1), holder=holder)
    store.release(holder)
    assert store._families.key_cache._known == {}


@given(st.lists(st.booleans() | st.floats(), max_size=60))
def test_slots_are_reused_and_never_mixed(steps):
    family, live = MetricFamily("f", "gauge", "help"), {}
    for number, step in enumerate(steps):
        if step is True and live:
            family.remove(live.pop(next(iter(live)))[0])
        else:
            live[number] = (
                family.add(family.prefix(f'n="{number}"'), value=float(step)),
                float(step),
            )
    text = b"".join(family.parts()).decode()
    samples = [s for f in text_string_to_metric_families(text) for s in f.samples]
    got = {int(sample.labels["n"]): sample.value for sample in samples}
    assert got.keys() == live.keys()
    assert all(got[n] == v or math.isnan(v) for n, (_, v) in live.items())


def test_a_rank_has_no_series_before_its_backlog_is_read():
    store, holder = an_empty(), Holder()
    give(store, RANK, [row(1.0, 1, loss=1)], holder, is_current=False)
    store.describe(RANK, "r", RunInfo({"project": "p"}, {"logs": 1}), holder)
    assert list(store.parts()) == []
    assert (store.runs, len(store)) == ({}, 0)
    give(store, RANK, [row(2.0, 2, loss=2)], holder, is_current=False)
    store.caught_up(holder)
    assert series(store)[("metric", "0", "1", "r", "loss")] == 2
    assert series(store)[("run_info", "0", "1", "r", "p")] == 1
    assert len(series(store)) == len(store) == holder.quota.used


def test_what_was_over_before_has_never_series():
    store, holder = an_empty(), Holder()
    give(store, RANK, [row(1.0, 1), Record(2.0, {"x": 1}, 1, "s")], holder, is_current=False)
    store.end(RANK, "r", 1.0, holder)
    store.caught_up(holder)
    assert {key[3] for key in series(store)} == {"s"}


def test_samples_of_a_backlog_come_with_its_end_if_they_are_not_over():
    sample = Record(5.0, {"_primus_sys_cpu_percent": 50}, None, "r", sample=True)
    for finish in (1.0, 5.0):
        store, holder = an_empty(), Holder()
        give(store, RANK, [sample], holder, is_current=False)
        store.end(RANK, "r", finish, holder)
        store.caught_up(holder)
        assert len(series(store)) == (finish < 5)


def trials(count, keys=1, seconds=1.0):
    """A sweep: one run after the other."""
    data = {f"k{key}": 1.0 for key in range(keys)}
    return [Record(each * seconds, data, 1, f"trial{each}") for each in range(count)]


@pytest.mark.parametrize(("is_current", "seconds"), [(True, 10), (False, 10), (False, 0.3)])
def test_a_limit_costs_the_oldest_runs_and_never_the_newest(is_current, seconds):
    store, holder = an_empty(), Holder(1000)
    for trial in trials(600, keys=40, seconds=seconds):
        give(store, RANK, [trial], holder, is_current=is_current)
    store.caught_up(holder)
    newest = [key for key in series(store) if key[3] == "trial599"]
    assert len(newest) == 40 + 3
    assert not holder.drops
    assert holder.quota.used == len(series(store)) <= 1000


def test_runs_that_log_at_the_same_time_do_not_end_each_other():
    store, holder = an_empty(), Holder(10)
    for at in range(50):
        runs = [Record(at / 10, {f"k{key}": 1 for key in range(4)}, 1, run) for run in "ab"]
        give(store, RANK, runs, holder)
    assert holder.drops == {"series_per_pod": 50 * 4}
    assert {key[3] for key in series(store)} == {"a", "b"}


def test_a_rank_and_run_in_two_directories_is_told():
    store, first, second = an_empty(), Holder(), Holder()
    second.path = "elsewhere"
    for holder in (first, second, first, second):
        give(store, RANK, [row(1.0, 1, loss=1)], holder)
    assert (first.shared, second.shared) == ([], [first.path])


def test_the_count_is_that_of_the_numbers_whatever_was_read():
    holder = Holder()
    store = filled(
        Record(1.0, {}, 1, "r", seq=501), Record(2.0, {}, 2, "r", seq=502), holder=holder
    )
    assert series(store)[("records_total", "0", "1", "r")] == 502
    store.end(RANK, "r", 3.0, holder)
    take(store, holder, Record(9.0, {}, 3, "r", seq=503))
    assert series(store)[("records_total", "0", "1", "r")] == 503


BAD = {"a": "NaN", "b": math.inf, "c": "-Infinity", "d": 1, "e": None, "f": "text"}


def counts(store):
    return {key[-1]: value for key, value in series(store).items() if "not_finite" in key[0]}


def test_values_that_are_not_finite_are_counted_by_key():
    store, holder = an_empty(), Holder()
    give(store, RANK, [row(1.0, 1, **BAD), row(2.0, 2, a=2), row(3.0, 3, a="Infinity")], holder)
    assert counts(store) == {"a": 2, "b": 1, "c": 1}
    assert holder.quota.used == len(series(store)) == len(store)
    store.end(RANK, "r", 4.0, holder)
    assert (list(store.parts()), holder.quota.used) == ([], 0)
    assert store._families.key_cache._known == {}


def test_a_key_that_is_left_out_has_no_count_of_what_is_not_finite():
    store, holder = an_empty(), Holder()
    give(store, RANK, [row(1.0, 1, **BAD)], holder)
    store.leave_out(RANK, "r", "a")
    assert counts(store) == {"b": 1, "c": 1}
    assert holder.quota.used == len(series(store)) == len(store)


def test_only_what_was_logged_since_the_start_is_counted():
    store, holder = Store(SeriesRules(), 2.0), Holder()
    give(store, RANK, [row(1.0, 1, **BAD), row(2.0, 2, a="NaN")], holder, is_current=False)
    store.caught_up(holder)
    assert counts(store) == {}
    take(store, holder, row(1.9, 3, b="NaN"), row(2.1, 4, a="NaN"))
    assert counts(store) == {"a": 1}


def test_a_count_waits_for_the_backlog_as_all_series_do():
    store, holder = an_empty(), Holder()
    give(store, RANK, [row(1.0, 1, a="NaN")], holder, is_current=False)
    assert counts(store) == {}
    store.caught_up(holder)
    assert counts(store) == {"a": 1}


def test_counts_keep_the_quota_and_what_has_no_series_has_no_count():
    holder = Holder(5)
    store = filled(
        row(1.0, 1, a="NaN", b="NaN", denied="NaN", _primus_x="NaN"),
        holder=holder,
        keys_deny=Pattern("denied"),
    )
    assert holder.quota.used == len(series(store)) == 5
    assert counts(store) == {}
    assert holder.drops == {"key_rules": 1, "series_per_pod": 2}
