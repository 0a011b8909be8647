# SPDX-License-Identifier: Apache-2.0
import itertools
import math
import time
from collections import Counter, defaultdict

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from primus_lens_exporter.model.key_rules import Pattern
from primus_lens_exporter.model.quota import Quota
from primus_lens_exporter.model.record import Record, as_float, not_finite
from primus_lens_exporter.model.series_rules import SeriesRules
from primus_lens_exporter.samples import AHEAD_SECONDS, SampleBuilder, in_order
from primus_lens_hook import contract

RANK = (("node_rank", "0"), ("local_rank", "1"))
RANKS = [(("node_rank", "0"), ("local_rank", str(rank))) for rank in range(3)]
NOW = 1.7e9


class Holder:
    def __init__(self, series=1000):
        self.quota = Quota(series, "series_per_pod")

    def dropped(self, reason, values):
        raise AssertionError("the builder counts")


def identify(name, labels):
    return "".join([name, *(f" {label}={value}" for label, value in labels)]).encode()


def builder(**arguments):
    return SampleBuilder(
        identify, SeriesRules(keys_deny=Pattern("denied"), limits_label_bytes=64), **arguments
    )


def record(at=NOW, step=None, run="r", **data):
    return Record(at, data, step, run)


def sample(at=NOW, **data):
    named = {contract.SAMPLE_PREFIX + name: value for name, value in data.items()}
    return Record(at, named, None, "r", sample=True)


def take(records, holder=None, builder=None, rank=RANK):
    samples = (builder or globals()["builder"]()).take(rank, records, holder or Holder())
    return [(series.id.decode(), at, value) for series, at, value in samples]


def test_each_number_of_a_record_is_a_sample_at_its_time():
    data = {"a": 1.5, "b": True, "c": 7, "text": "x", "none": None, "media": {"_type": "image"}}
    mark = {"_primus_lens_enabled": True}
    name = "primus_lens_wandb_metric node_rank=0 local_rank=1 run_id=r key="
    assert take([Record(1700000000.1234, {**data, **mark}, 3, "r")]) == [
        ("primus_lens_wandb_step node_rank=0 local_rank=1 run_id=r", 1700000000123, 3.0),
        (name + "a", 1700000000123, 1.5),
        (name + "b", 1700000000123, 1.0),
        (name + "c", 1700000000123, 7.0),
    ]


def test_a_late_row_has_samples_of_its_values_and_none_of_its_step():
    made, late = builder(), Record(NOW, {"a": 1.5}, 900, "r", late=True)
    samples = take([record(step=7, a=1), late, record(NOW + 1, step=3)], builder=made)
    at = round(NOW * 1000)
    assert [(t, v) for name, t, v in samples if "_step" in name] == [(at, 7), (at + 1000, 3)]
    assert [(t, v) for name, t, v in samples if "_metric" in name] == [(at, 1), (at + 1, 1.5)]
    take([Record(-1.0, {"a": 1}, 900, "r", late=True)], builder=made)
    assert made.dropped == {"bad_time": 1}  # of a step that would be no sample, none is lost


def test_numbers_that_are_not_finite_are_samples():
    values = [value for _, _, value in take([record(a="NaN", b="-Infinity", c=10**400)])]
    assert math.isnan(values[0])
    assert values[1:3] == [-math.inf, math.inf]


TIMES = st.lists(st.integers(0, 3000) | st.sampled_from([0, 1000]), max_size=60)


@given(st.lists(TIMES, max_size=4))
def test_times_rise_strictly_and_only_what_is_late_is_dropped(batches):
    made, rising, kept, newest = builder(), defaultdict(list), 0, -math.inf
    for batch in batches:
        records = in_order([record(NOW + at / 1000, a=1.0) for at in batch])
        for series, at, _ in take(records, builder=made):
            rising[series].append(at)
        for at in sorted(batch):
            kept += at >= newest - 1000
            newest = max(newest, at)
    for times in rising.values():
        assert all(before < after for before, after in itertools.pairwise(times))
    assert sum(map(len, rising.values())) == kept
    assert made.dropped == +Counter(late=sum(map(len, batches)) - kept)


def test_every_record_of_a_burst_at_one_time_is_kept():
    times = [at for _, at, _ in take([record(a=i) for i in range(5000)])]
    assert times == [round(NOW * 1000) + i for i in range(5000)]


def test_a_burst_cannot_run_into_the_future():
    made = builder()
    at = time.time() + AHEAD_SECONDS - 1
    assert 900 < len(take([record(at, a=i) for i in range(5000)], builder=made)) < 1200
    assert made.dropped["late"] > 3800


@pytest.mark.parametrize(
    ("at", "reason"),
    [
        (math.nan, "bad_time"),
        (-1.0, "bad_time"),
        (-math.inf, "bad_time"),
        (math.inf, "future"),
        (95_617_584_000.0, "future"),
        (2.0**70, "future"),
        pytest.param(time.time() + 86_400, "future", id="tomorrow"),
    ],
)
def test_absurd_times_are_dropped_and_counted(at, reason):
    made = builder()
    samples = take([record(at, step=1, a=1, b="text"), record(a=2)], builder=made)
    assert [value for _, _, value in samples] == [2.0]
    assert made.dropped == {reason: 2}


def test_keys_that_are_the_same_once_they_are_clean_are_one_series():
    keys = [chr(0xD800), "?", chr(0xDFFF)]
    samples = take([record(**dict.fromkeys(keys, 1))])
    assert len({series for series, _, _ in samples}) == 1
    assert [at - round(NOW * 1000) for _, at, _ in samples] == [0, 1, 2]


def test_an_empty_label_is_none():
    assert take([record(run="", a=1)])[0][0] == (
        "primus_lens_wandb_metric node_rank=0 local_rank=1 key=a"
    )


def test_added_labels_give_way_to_the_identity():
    made = builder(added=(("cluster", "c"), ("node_rank", "9")))
    assert take([record(step=1)], builder=made)[0][0] == (
        "primus_lens_wandb_step cluster=c node_rank=0 local_rank=1 run_id=r"
    )


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (record(**{"k" * 65: 1}), "label_bytes"),
        (record(**{"é" * 33: 1}), "label_bytes"),
        (record(run="r" * 65, a=1), "label_bytes"),
        (record(denied=1), "key_rules"),
    ],
)
def test_what_may_have_no_series_is_dropped_and_counted(bad, reason):
    made = builder()
    assert len(take([bad, record(a=1)], builder=made)) == 1
    assert made.dropped == {reason: 1}


def test_the_quota_is_kept_and_given_back_at_release():
    made, holder = builder(), Holder(4)
    assert len(take([record(**{f"k{i}": i for i in range(9)})], holder, made)) == 3
    assert take([record(run="other", a=1)], holder, made) == []
    assert made.dropped == {"series_per_pod": 7}
    assert len(made.release(holder)) == 3
    assert holder.quota.used == 0
    assert len(take([record(run="other", a=1)], holder, made)) == 1


def test_a_run_that_has_ended_gives_back_what_it_used():
    made, holder = builder(), Holder()
    take([record(step=1, a=1), record(run="other", a=1)], holder, made)
    assert len(made.end(RANK, "r")) == 2
    assert made.end(RANK, "r") == []
    assert holder.quota.used == 2


def test_a_rank_in_two_places_is_one_until_both_are_gone():
    made, one, two = builder(), Holder(), Holder()
    take([record(a=1)], one, made)
    assert take([record(a=2)], two, made)[0][1] == round(NOW * 1000) + 1
    assert made.release(one) == []
    assert take([record(a=3)], two, made)[0][1] == round(NOW * 1000) + 2
    assert len(made.release(two)) == 1
    assert one.quota.used == two.quota.used == 0


def test_times_go_on_where_an_earlier_process_stopped():
    at = round(NOW * 1000)
    series = identify("primus_lens_wandb_metric", (*RANK, ("run_id", "r"), ("key", "a")))
    made = builder(clocks={series: (at + 7, at)})
    times = [at for _, at, _ in take([record(a=1, b=1), record(NOW - 2, a=1)], builder=made)]
    assert times == [at + 8, at]
    assert made.dropped == {"late": 1}


def test_a_sample_of_the_system_has_the_series_of_the_page():
    data = {"sys_cpu_percent": 50, "process_threads": 7, "gpu_0_util": 85.0, "gpu_0_name": "H100"}
    samples = take([sample(gpu_0_uuid="U", **data)], builder=builder(added=(("cluster", "k"),)))
    assert {at for _, at, _ in samples} == {round(NOW * 1000)}
    assert [(name.removeprefix("primus_lens_"), value) for name, _, value in samples] == [
        ("system_cpu_utilization_ratio cluster=k node_rank=0", 0.5),
        ("system_process_threads cluster=k node_rank=0 local_rank=1", 7),
        ("gpu_utilization_ratio cluster=k node_rank=0 gpu=0 uuid=U", 0.85),
        ("gpu_info cluster=k node_rank=0 gpu=0 uuid=U name=H100", 1.0),
    ]


def test_what_ranks_share_is_taken_from_one_until_it_is_silent():
    made, holders = builder(), [Holder() for _ in RANKS]

    def shared(rank, at):
        found = sample(at, sys_cpu_percent=100 * rank, process_threads=1)
        samples = take([found], holders[rank], made, RANKS[rank])
        assert sum("process" in name for name, _, _ in samples) == 1
        return [value for name, _, value in samples if "cpu" in name]

    assert [shared(0, NOW), shared(1, NOW), shared(1, NOW + 0.1)] == [[0], [], []]
    assert [shared(0, NOW + 5), shared(2, NOW + 20), shared(2, NOW + 20.1)] == [[0], [], [2]]
    assert shared(0, NOW + 20.2) == []
    assert not made.dropped
    for holder in holders:
        made.release(holder)
    assert {holder.quota.used for holder in holders} == {0}


def test_what_rows_carry_of_a_sample_makes_no_samples():
    made, mark = builder(), {"_primus_lens_enabled": True}
    row = {**mark, "_primus_sys_cpu_percent": 1, "_primus_gpu_0_util": 2.0, "a": 1}
    assert len(take([record(**row)], builder=made)) == 1
    assert take([record(-1.0, **row), sample(-1.0, gpu_0_util=1)], builder=made) == []
    assert made.dropped == {"bad_time": 1 + 1}


@pytest.mark.parametrize(("limit", "count"), [(0, 0), (1, 0), (4, 2), (99, 13)])
def test_samples_of_the_system_keep_the_quota(limit, count):
    made, holder = builder(), Holder(limit)
    assert len(take([sample(**dict.fromkeys(contract.SAMPLE_OF_POD, 1))], holder, made)) == count
    assert sum(made.dropped.values()) == 13 - count
    made.release(holder)
    assert holder.quota.used == 0


def test_a_run_has_so_many_keys_and_the_first_ones_stay():
    made = SampleBuilder(identify, SeriesRules(limits_keys_per_rank=2))
    taken = take([record(step=each, a=1, b=2, c=3) for each in range(3)], builder=made)
    assert (len(taken), made.dropped) == (9, {"keys_per_rank": 3})


COUNT = "primus_lens_wandb_not_finite_total node_rank=0 local_rank=1 run_id=r"
AT = round(NOW * 1000)


def counted(*records, made=None, holder=None):
    samples = take(records, builder=made or builder(), holder=holder)
    return [each for each in samples if each[0].startswith("primus_lens_wandb_not_finite_total")]


def test_what_is_not_finite_is_counted_from_zero_at_the_time_of_the_value():
    rows = record(a="NaN"), record(NOW + 1, a=1), record(NOW + 2, a="Infinity", b=math.inf)
    assert counted(*rows) == [
        (COUNT + " key=a", AT - 1, 0), (COUNT + " key=a", AT, 1),
        (COUNT + " key=a", AT + 2000, 2),
        (COUNT + " key=b", AT + 1999, 0), (COUNT + " key=b", AT + 2000, 1),
    ]  # fmt: skip


def test_a_count_begins_again_at_zero_after_a_restart():
    series = identify("primus_lens_wandb_not_finite_total", (*RANK, ("run_id", "r"), ("key", "a")))
    made = builder(clocks={series: (AT + 7, AT)})
    assert [each[1:] for each in counted(record(a="NaN"), made=made)] == [(AT + 8, 0), (AT + 9, 1)]


def test_keys_without_series_have_no_count_and_counts_keep_the_quota():
    made, holder = builder(), Holder(3)
    bad = record(a="NaN", denied="NaN", _primus_x="NaN", b="NaN")
    assert counted(bad, made=made, holder=holder) == []
    assert made.dropped == {"key_rules": 1, "series_per_pod": 2}
    made.release(holder)
    assert holder.quota.used == 0


def test_a_count_takes_no_place_among_the_keys_of_a_run():
    made = SampleBuilder(identify, SeriesRules(limits_keys_per_rank=2))
    assert len(take([record(a="NaN"), record(b=1)], builder=made)) == 4
    assert not made.dropped


ODD = (
    1.0, -2, True, "NaN", math.nan, "-Infinity", 10**400, "x", None, 1e308, -1e308, [1], 2**70,
)  # fmt: skip


@example([10**400])
@given(st.lists(st.sampled_from(ODD), max_size=6))
def test_not_finite_are_those_whose_number_is_so(values):
    data = {str(number): value for number, value in enumerate(values)}
    numbers = {key: as_float(value) for key, value in data.items()}
    bad = [
        key for key, number in numbers.items() if number is not None and not math.isfinite(number)
    ]
    assert list(not_finite(data)) == bad
