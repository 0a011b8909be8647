# SPDX-License-Identifier: Apache-2.0
"""Which values of a rank are handed on."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st
from primus_lens_exporter.model.record import Record
from primus_lens_exporter.model.series_rules import SeriesRules
from primus_lens_exporter.reading.consumer import Consumer
from primus_lens_exporter.reading.counts import Counts
from primus_lens_exporter.sampling.settings import SamplingSettings
from primus_lens_exporter.sampling.setup import Sampling

from support.sampled import Pod, row


@pytest.fixture
def pod(tmp_path):
    return lambda rules, **bounds: Pod(tmp_path, rules, **bounds)


EVERY = "{keys: ['g.*'], every: 10}"
PER = "{keys: ['t.*'], at_most_once_per: 5s}"
FIRST = "{keys: ['f.*'], ranks: first}"


def test_one_record_in_ten_and_all_others_of_other_keys(pod):
    pod = pod(EVERY)
    pod.take(*(row(step, g=step, other=step) for step in range(1, 36)))
    assert pod.kept.steps("g") == [1, 11, 21, 31]
    assert pod.kept.steps("other") == list(range(1, 36))
    assert pod.sampler.left_out == {"every": 31, "at_most_once_per": 0, "ranks": 0}


def test_a_record_without_values_is_handed_on_and_none_is_changed(pod):
    pod, records = pod(EVERY), [row(step, g=1) for step in (1, 2, 3)]
    pod.take(*records)
    assert [(each.step, each.seq, each.data) for each in pod.kept.records] == [
        (1, 1, {"g": 1}),
        (2, 2, {}),
        (3, 3, {}),
    ]
    assert [each.data for each in records] == [{"g": 1}] * 3


@pytest.mark.parametrize("phase", [0, 3, 9])
def test_a_key_that_is_logged_in_one_record_of_ten_is_always_kept(pod, phase):
    pod = pod(EVERY)
    pod.take(*(row(s, **({"g": s} if s % 10 == phase else {"x": 1})) for s in range(1, 101)))
    assert len(pod.kept.steps("g")) == 10


def test_what_is_no_number_and_what_is_no_log_call_is_let_alone(pod):
    pod = pod("{keys: ['.*'], every: 10}")
    sample = Record(3.0, {"_primus_sys_cpu_percent": 1.0}, None, "r", sample=True)
    own = row(2, text="x", _primus_lens_enabled=True)
    pod.take(row(1, g=1), own, sample)
    assert pod.kept.records[1:] == [own, sample]
    assert sum(pod.sampler.left_out.values()) == 0


def test_one_value_in_each_five_seconds_by_the_records_time(pod):
    pod = pod(PER)
    times = [7.0, 9.9, 10.0, 14.9, 15.1, 14.95, 15.2, 31.0]
    pod.take(*(row(n, at, t=1) for n, at in enumerate(times, 1)))
    assert [times[step - 1] for step in pod.kept.steps("t")] == [7.0, 10.0, 15.1, 31.0]
    assert pod.sampler.left_out["at_most_once_per"] == 4


def test_a_clock_that_is_set_back_leaves_nothing_out_for_long(pod):
    pod = pod(PER)
    pod.take(row(1, 9e9, t=1), *(row(n, 100.0 + n, t=1) for n in range(2, 12)))
    assert pod.kept.steps("t") == [1, 2, 5, 10]


def test_runs_and_ranks_count_for_themselves(pod):
    pod = pod(EVERY)
    pod.take(*(row(step, run=run, g=1) for step in (1, 2) for run in ("a", "b")))
    pod.take(row(1, run="a", g=1), row(2, run="a", g=1), rank=1)
    assert [each.run for each in pod.kept.records if each.data] == ["a", "b", "a"]


def test_records_without_a_number_are_counted(pod):
    pod = pod("{keys: [g], every: 3}")
    pod.take(*(Record(float(n), {"g": 1}, n, "r") for n in range(7)))
    assert pod.kept.steps("g") == [0, 3, 6]


def test_two_processes_of_a_rank_are_one_in_ten_together(pod):
    """Each numbers its own calls."""
    pod = pod(EVERY)
    pairs = itertools.chain(*zip(range(501, 551), range(1, 51), strict=True))
    pod.take(*(row(number, g=1) for number in pairs))
    assert len(pod.kept.steps("g")) == 10


BATCHES = st.lists(st.integers(1, 7), min_size=1, max_size=30)
KEYS = st.lists(st.sets(st.sampled_from(["g", "t", "other"])), min_size=1, max_size=80)
RULES = "{keys: [g], every: 7}, {keys: [t], at_most_once_per: 5s}"


def records(keys):
    return [row(n, **dict.fromkeys(each, 1.0)) for n, each in enumerate(keys, 1)]


@given(KEYS, BATCHES, st.booleans())
def test_how_records_come_in_batches_makes_no_difference(tmp_path_factory, keys, sizes, numbered):
    whole, parts = (Pod(tmp_path_factory.mktemp("pod"), RULES) for _ in range(2))
    rows = records(keys)
    for each in () if numbered else rows:
        each.seq = None
    whole.take(*rows)
    left = iter(rows)
    for size in itertools.cycle(sizes):
        if not (batch := list(itertools.islice(left, size))):
            break
        parts.take(*batch)
    assert whole.kept.records == parts.kept.records
    assert whole.sampler.left_out == parts.sampler.left_out


@given(KEYS, st.integers(0, 79))
def test_after_a_restart_the_windows_are_the_same(tmp_path_factory, keys, at):
    """In the window of the restart, a key may be kept once more."""
    whole, before, after = (Pod(tmp_path_factory.mktemp("pod"), RULES) for _ in range(3))
    rows = records(keys)
    whole.take(*rows)
    before.take(*rows[:at])
    after.take(*rows[at:])
    for key, window in (("g", lambda step: (step - 1) // 7), ("t", lambda step: step // 5)):
        wanted, now = whole.kept.steps(key), before.kept.steps(key) + after.kept.steps(key)
        assert set(wanted) <= set(now)
        assert all(window(step) == window(at + 1) for step in set(now) - set(wanted))
        assert len(now) <= len(wanted) + 1


def test_the_lowest_rank_that_logs_a_key_is_the_first(pod):
    pod = pod(FIRST)
    pod.take(row(1, f=1, fx=1), rank=1)
    pod.take(row(1, f=1, fx=1), rank=2)
    pod.take(row(1, f=1), rank=0)
    pod.take(row(2, f=1, fx=1), rank=1)
    assert [list(each.data) for each in pod.kept.records] == [["f", "fx"], [], ["f"], ["fx"]]
    assert pod.kept.left_out == [("1", "r", "f")]
    assert pod.sampler.left_out["ranks"] == 3


@pytest.mark.parametrize("leave", [Pod.end, Pod.release])
def test_when_the_first_rank_ends_another_one_is_the_first(pod, leave):
    pod = pod(FIRST)
    pod.take(row(1, f=1), rank=0)
    pod.take(row(1, f=1), rank=1)
    leave(pod, 0)
    pod.take(row(2, f=1), rank=1)
    assert [each.step for each in pod.kept.records if each.data] == [1, 2]
    assert not pod.kept.left_out


def test_what_first_ranks_remember_is_given_back(pod):
    pod = pod(FIRST)
    for rank, run in ((2, "a"), (1, "b"), (0, "c")):
        pod.take(row(1, run=run, f=1, **{f"f{rank}": 1}), rank=rank)
    (inner,) = pod.sampler._pods.values()
    assert inner._quota.used == 3 + 4  # runs and keys
    pod.end(1, "b")
    pod.release(2)
    assert inner._quota.used == 1 + 2
    pod.release(0)
    assert inner._quota.used == 0


def test_runs_whose_keys_others_have_taken_are_not_remembered(pod):
    pod = pod(FIRST)
    pod.take(*(row(1, run=f"run{number}", f=1) for number in range(100)), rank=1)
    pod.take(row(1, f=1), rank=0)
    (state,) = pod.sampler._pods.values()
    assert list(map(dict, state.first._keys.values())) == [{"r": {"f"}}]


def test_ten_is_after_nine(pod):
    pod = pod(FIRST)
    pod.take(row(1, f=1), rank=9)
    pod.take(row(1, f=1), rank=10)
    assert not pod.kept.records[1].data


def test_the_first_rank_of_each_ten_records(pod):
    pod = pod("{keys: [g], ranks: first, every: 10}")
    for rank in (0, 1):
        pod.take(*(row(step, g=1) for step in range(1, 21)), rank=rank)
    assert pod.kept.steps("g") == [1, 11]
    assert pod.sampler.left_out == {"every": 18, "at_most_once_per": 0, "ranks": 20}


def test_what_is_remembered_is_bounded_and_a_key_beyond_is_kept_whole(pod):
    pod = pod("{keys: ['.*'], every: 10}", keys=6)
    keys = {f"k{number}": 1 for number in range(8)}
    pod.take(*(row(step, **keys) for step in range(1, 11)))
    kept = [len(each.data) for each in pod.kept.records]
    assert kept == [8, *[3] * 9]  # one place is the run's
    assert pod.ranks[0].limits == {"sampled_keys_per_pod": 30}


def test_an_older_run_makes_room_and_what_ends_gives_its_room_back(pod):
    pod = pod("{keys: ['.*'], every: 10}", keys=4)
    for run in "abcdefgh":
        pod.take(*(row(step, run=run, x=1, y=1) for step in (1, 2)))
    assert [len(each.data) for each in pod.kept.records] == [2, 0] * 8
    assert not pod.ranks[0].limits
    quota = next(iter(pod.sampler._pods.values()))._quota
    pod.end(run="h")
    assert quota.used == 0
    pod.release()
    assert not pod.sampler._pods
    assert not pod.sampler._labels


def test_a_run_without_series_has_no_rules_either(pod):
    pod = pod(EVERY)
    pod.take(*(row(step, run="r" * 1000, g=1) for step in (1, 2)))
    assert pod.kept.steps("g") == [1, 2]


def test_without_a_file_nothing_stands_before_a_consumer():
    sampling, consumer = Sampling(SamplingSettings(), SeriesRules(), 1, Counts()), Consumer()
    assert sampling.before(consumer) is consumer
    assert sampling.work() == []
