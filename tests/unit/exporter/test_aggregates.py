# SPDX-License-Identifier: Apache-2.0
"""Aggregates over the ranks of a pod: what they are made of, and for whom they wait."""

import itertools
import math
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st
from primus_lens_exporter.model.rounds import AGGREGATES, aggregate
from primus_lens_exporter.model.series_rules import SeriesRules
from primus_lens_exporter.samples import SampleBuilder
from primus_lens_exporter.sampling.progress import MOST_RANKS
from primus_lens_exporter.series.store import Store

from support.holding import Holder
from support.sampled import Pod, row

LOSS = "{keys: ['.*loss'], ranks: aggregate}"


@pytest.fixture
def pod(tmp_path):
    def make(rules=LOSS, ranks=4, **bounds):
        pod = Pod(tmp_path, rules, **bounds)
        for rank in range(ranks):
            pod.take(row(0, other=1), rank=rank)
        pod.now += 6  # all ranks are known
        return pod

    return make


@pytest.mark.parametrize(
    ("values", "wanted"),
    [
        ([1.0], (1, 1, 1)),
        ([1.0, 2.0, 6.0], (1, 3, 6)),
        ([1e308, 1.5e308], (1e308, 1.25e308, 1.5e308)),
        ([1.0, math.inf], (1, math.inf, math.inf)),
        ([-math.inf, 1.0], (-math.inf, -math.inf, 1)),
        ([-math.inf, math.inf], (-math.inf, math.nan, math.inf)),
        ([1e308, 1e308, math.inf, -math.inf], (-math.inf, math.nan, math.inf)),
        ([1e308, 1e308, -math.inf], (-math.inf, -math.inf, 1e308)),
    ],
)
def test_least_mean_and_greatest(values, wanted):
    assert aggregate(values) == pytest.approx(wanted, nan_ok=True)


@pytest.mark.parametrize(
    "values",
    [[math.nan], [1.0, math.nan, 2.0], [1e308, 1e308, math.nan, math.inf, -math.inf]],
)
def test_one_nan_makes_all_three_nan(values):
    assert all(map(math.isnan, aggregate(values)))


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1))
def test_the_mean_is_between(values):
    low, mean, high = aggregate(values)
    assert low <= mean <= high


def test_a_round_is_handed_on_when_all_ranks_have_logged_the_step(pod):
    pod = pod()
    for rank in range(4):
        assert not pod.kept.rounds
        pod.take(row(1, 1 + rank / 8, loss=rank), rank=rank)
    labels, run_id, each = pod.kept.rounds.pop()
    assert labels == {"namespace": "n", "pod": "p", "node_rank": "0"}
    assert (run_id, *each) == ("r", "loss", 1.375, (0, 1.5, 3))
    assert not pod.kept.rounds
    assert not any("loss" in record.data for record in pod.kept.records)
    assert pod.sampler.left_out["ranks"] == 4


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(1, 9)), max_size=40))
def test_ranks_may_be_read_in_any_order_and_pieces(tmp_path_factory, turns):
    pod = Pod(tmp_path_factory.mktemp("pod"), LOSS)
    files = {rank: iter([row(s, loss=s * rank) for s in range(1, 21)]) for rank in range(4)}
    for rank, lines in itertools.chain(turns, ((rank, 20) for rank in range(4))):
        if batch := list(itertools.islice(files[rank], lines)):
            pod.take(*batch, rank=rank)
    pod.now += 6
    pod.emit()
    wanted = [("r", "loss", s, (0, s * 1.5, s * 3)) for s in range(1, 21)]
    assert pod.kept.aggregates == wanted


def test_nothing_is_handed_on_before_all_ranks_can_be_known(tmp_path):
    pod = Pod(tmp_path, LOSS)
    pod.take(row(1, loss=1), rank=0)
    pod.emit()
    assert not pod.kept.rounds
    pod.take(row(1, loss=3), rank=1)
    pod.now += 6
    pod.emit()
    assert pod.kept.aggregates == [("r", "loss", 1, (1, 2, 3))]


def test_a_rank_that_was_read_past_the_round_is_not_waited_for(pod):
    pod = pod()
    for rank in range(3):
        pod.take(row(1, loss=rank), rank=rank)
    pod.take(row(7, other=1), rank=3)
    pod.emit()
    assert pod.kept.aggregates == [("r", "loss", 1, (0, 1, 2))]
    for rank in range(3):
        pod.take(row(2, loss=rank), rank=rank)
    assert len(pod.kept.rounds) == 2  # it is known by now that it does not log the key


def test_a_rank_that_logs_the_key_again_is_waited_for_again(pod):
    pod = pod(ranks=2)
    pod.take(row(1, loss=1), rank=0)
    pod.take(row(9, other=1), rank=1)
    pod.emit()
    pod.take(row(10, loss=3), rank=1)
    pod.take(row(10, loss=1), rank=0)
    pod.take(row(11, loss=1), rank=0)
    assert pod.kept.aggregates == [("r", "loss", 1, (1, 1, 1)), ("r", "loss", 10, (1, 2, 3))]


def test_a_rank_that_logs_the_key_at_some_steps_is_waited_for_at_each(pod):
    pod = pod(ranks=2)
    pod.take(row(10, loss=3), row(19, other=1), rank=1)
    pod.take(*(row(step, loss=1) for step in range(10, 21)), rank=0)
    pod.take(row(20, loss=3), row(26, other=1), rank=1)
    pod.emit()
    means = [values[1] for *_, values in pod.kept.aggregates]
    assert means == [2, *[1] * 9, 2]


def test_a_rank_that_is_idle_is_not_waited_for(pod):
    pod = pod(ranks=2)
    pod.take(row(1, loss=1), rank=0)
    pod.now += 4
    pod.emit()
    assert not pod.kept.rounds
    pod.now += 2
    pod.emit()
    assert pod.kept.aggregates == [("r", "loss", 1, (1, 1, 1))]


def test_many_keys_are_handed_on_in_short_steps_and_none_after_the_end(pod):
    pod = pod(ranks=2)
    pod.take(row(1, **{f"{number}_loss": 1 for number in range(10)}), rank=0)
    pod.now += 6
    steps = pod.sampler.emit()
    next(steps)
    assert len(pod.kept.rounds) == 1
    pod.end(0)
    assert not list(steps)
    assert len(pod.kept.rounds) == 10


def test_a_fault_with_one_pod_costs_the_others_nothing(pod):
    pod = pod(ranks=2)
    for rank, name in enumerate("ppqq"):
        pod.take(row(0, other=1), rank=rank, name=name)
    pod.take(row(1, loss=1), rank=0)
    pod.take(row(1, loss=1), rank=2, name="q")
    pod.now += 12
    pod.kept.faulty = "p"
    assert list(pod.sampler.emit()) == [None]
    assert [labels["pod"] for labels, _, _ in pod.kept.rounds] == ["q"]
    assert pod.counts.faults == 1


def test_a_rank_that_has_more_to_read_is_waited_for(pod):
    pod = pod(ranks=2)
    pod.take(row(1, loss=1), rank=0)
    for _ in range(100):
        pod.now += 1
        assert pod.accepts(1)
        pod.emit()
    assert not pod.kept.rounds


def test_a_rank_whose_clock_is_behind_is_waited_for_half_a_minute(pod):
    pod = pod(ranks=2)
    pod.take(row(1, 9000.0, loss=1), rank=0)
    for second in range(40):
        pod.now += 1
        pod.take(row(2 + second, other=1), rank=1)
        pod.emit()
        assert bool(pod.kept.rounds) == (second > 29)


def test_a_value_that_comes_too_late_is_left_out_and_steps_may_begin_again(pod):
    pod = pod(ranks=2)
    pod.take(row(1, loss=1), rank=0)
    pod.settle()
    pod.take(row(1, 2.0, loss=5), rank=1)
    pod.settle()
    assert len(pod.kept.rounds) == 1
    for rank in range(2):
        pod.take(row(1, 100.0, loss=rank), rank=rank)  # from a checkpoint
    assert pod.kept.aggregates[1:] == [("r", "loss", 100, (0, 0.5, 1))]


def test_steps_that_only_some_ranks_log_are_in_the_order_of_their_times(pod):
    pod = pod(ranks=2)
    pod.take(*(row(step, loss=step) for step in (2, 4, 6)), rank=0)
    pod.take(*(row(step, loss=step) for step in range(1, 7)), rank=1)
    pod.settle()
    assert [at for _, _, at, _ in pod.kept.aggregates] == [1, 2, 3, 4, 5, 6]


def test_without_a_step_the_number_of_the_call_counts(pod):
    pod = pod(ranks=2)
    for rank in range(2):
        for number in (1, 2):
            pod.take(row(None, number, seq=1 + number, loss=number * rank), rank=rank)
    assert pod.kept.aggregates == [("r", "loss", 1, (0, 0.5, 1)), ("r", "loss", 2, (0, 1, 2))]


def test_a_nan_stays_visible(pod):
    pod = pod(ranks=2)
    pod.take(row(1, loss="NaN"), rank=0)
    pod.take(row(1, loss=1), rank=1)
    assert all(map(math.isnan, pod.kept.aggregates[0][-1]))


def test_a_rank_that_has_ended_is_in_no_aggregate_any_more(pod):
    pod = pod(ranks=2)
    for rank in range(2):
        pod.take(row(1, loss=rank), rank=rank)
    pod.release(1)
    pod.take(row(2, loss=0), rank=0)
    assert pod.kept.aggregates[1:] == [("r", "loss", 2, (0, 0, 0))]


def test_with_the_last_rank_the_aggregates_end_after_what_waits(pod):
    pod = pod(ranks=2)
    pod.take(row(1, loss=1), rank=0)
    pod.take(row(2, loss=1), rank=1)
    pod.end(0)
    assert not pod.kept.rounds
    pod.end(1)
    labels = pod.labels(0)[:-1]
    assert [each[2] for each in pod.kept.aggregates] == [1, 2]
    assert pod.kept.calls == [("end", "r"), ("end_aggregates", labels, "r"), ("end", "r")]
    (inner,) = pod.sampler._pods.values()
    assert (inner.waiting.values, inner._quota.used) == (0, 0)


def test_one_round_in_five_seconds(pod):
    pod = pod("{keys: [loss], ranks: aggregate, at_most_once_per: 5s}", ranks=2)
    for step in range(1, 14):
        for rank in range(2):
            pod.take(row(step, loss=step), rank=rank)
    assert [each[2] for each in pod.kept.aggregates] == [1, 5, 10]


def test_values_that_wait_are_bounded_and_the_oldest_goes_first(pod):
    pod = pod(ranks=2, values=10)
    pod.take(*(row(step, loss=step) for step in range(1, 16)), rank=0)
    assert [each[2] for each in pod.kept.aggregates] == [1, 2, 3, 4, 5]
    assert pod.ranks[0].limits == {"waiting_values_per_pod": 5}


def test_a_rank_that_is_ahead_waits_for_those_behind(pod):
    pod = pod(ranks=2, values=30)
    pod.take(*(row(step, loss=step) for step in range(1, 11)), rank=0)
    assert pod.accepts(1)
    assert not pod.accepts(0)
    pod.now += 6  # the other has nothing more to read
    assert pod.accepts(0)
    pod.kept.accepting = False
    assert not pod.accepts(0)


def test_where_much_waits_all_wait_for_the_last_one(pod):
    pod = pod(ranks=3, values=30)
    pod.take(*(row(step, loss=step) for step in range(1, 10)), rank=0)
    pod.take(*(row(step, loss=step) for step in range(1, 3)), rank=1)
    assert [pod.accepts(rank) for rank in (2, 1, 0)] == [True, True, False]
    pod.take(*(row(step, loss=step) for step in range(3, 7)), rank=1)
    assert [pod.accepts(rank) for rank in (2, 1, 0)] == [True, False, False]


def test_before_all_ranks_can_be_known_nobody_fills_the_room(tmp_path):
    pod = Pod(tmp_path, LOSS, values=30)
    for rank in range(3):
        for step in range(1, 50):
            if pod.accepts(rank):
                pod.take(row(step, loss=step), rank=rank)
    assert 15 <= pod.waiting <= 15 + 3
    assert not pod.kept.rounds
    pod.now += 6
    assert pod.accepts(2)


def test_keys_beyond_the_bound_are_kept_whole(pod):
    pod = pod(ranks=1, keys=3)
    pod.take(row(1, **{f"{n}_loss": 1 for n in range(5)}), rank=0)
    assert len(pod.kept.records[-1].data) == 3  # one place is the run's
    assert pod.ranks[0].limits["sampled_keys_per_pod"] == 3


def test_a_run_without_room_for_a_key_is_kept_whole(pod):
    pod = pod(ranks=1, keys=3)  # of which the two runs take one each
    pod.take(row(1, loss=1.0), row(1, run="other", loss=2.0))
    assert [record.data for record in pod.kept.records[1:]] == [{}, {"loss": 2.0}]
    pod.settle()
    assert [run_id for run_id, *_ in pod.kept.aggregates] == ["r"]


def test_ranks_beyond_a_bound_are_not_aggregated(tmp_path):
    pod = Pod(tmp_path, LOSS)
    for rank in range(MOST_RANKS + 1):
        pod.take(row(1, loss=rank), rank=rank)
    pod.settle()
    assert pod.accepts(MOST_RANKS)
    assert pod.kept.aggregates == [("r", "loss", 1, (0, (MOST_RANKS - 1) / 2, MOST_RANKS - 1))]
    assert [each.data for each in pod.kept.records if each.data] == [{"loss": MOST_RANKS}]


def test_a_rank_that_is_new_is_waited_for_where_one_that_is_gone_was_not(pod):
    pod = pod(ranks=2)
    pod.take(row(1, loss=1), rank=0)
    pod.settle()  # the other one does not log it
    pod.release(1)
    pod.take(row(100, other=1), rank=2)
    pod.take(row(100, loss=1), rank=0)
    assert len(pod.kept.rounds) == 1
    pod.take(row(100, loss=2), rank=2)
    assert [each[3] for each in pod.kept.aggregates] == [(1, 1, 1), (1, 1.5, 2)]


def test_what_is_remembered_of_ranks_without_a_key_is_small(pod):
    pod = pod(ranks=MOST_RANKS, keys=10_000)
    tracemalloc.start()
    pod.take(row(1, **{f"{number}_loss": 1 for number in range(1000)}), rank=0)
    pod.settle()
    used, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(pod.kept.rounds) == 1000
    assert used < 2_000_000


POD = (("namespace", "n"), ("pod", "p"), ("node_rank", "0"))


def ids(name, labels):
    return repr((name, *labels)).encode()


def test_samples_of_aggregates(pod):
    pod, builder, holders = pod(ranks=2), SampleBuilder(ids, SeriesRules()), {Holder(), Holder()}
    for step in (1, 2):
        for rank in range(2):
            pod.take(row(step, loss=step * rank), rank=rank)
    rounds = [each for _, _, each in pod.kept.rounds]
    samples = list(builder.take_aggregates(POD, "r", rounds, holders))
    labels = (*POD, ("run_id", "r"), ("key", "loss"))
    values = [(1000, (0, 0.5, 1)), (2000, (0, 1, 2))]
    assert [(series.id, at, value) for series, at, value in samples] == [
        (ids(name, labels), at, value)
        for at, each in values
        for name, value in zip(AGGREGATES, each, strict=True)
    ]
    one, other = holders
    assert not builder.release(one)
    assert len(builder.release(other)) == 3
    assert one.quota.used + other.quota.used == 0


def page(store):
    return b"".join(store.parts()).decode()


def test_aggregates_on_the_page(pod):
    pod, store, holder = pod(ranks=1), Store(SeriesRules()), Holder()
    pod.take(row(1, loss=2.5), rank=0)
    store.take_aggregates(POD, "r", [pod.kept.rounds[0][2]], {holder})
    assert "wandb_metric_" not in page(store)  # the rank has a backlog
    store.caught_up(holder)
    text = (
        'primus_lens_wandb_metric_{}{{namespace="n",pod="p",node_rank="0",run_id="r",key="loss"}}'
    )
    assert all(f"{text.format(name)} 2.5\n" in page(store) for name in ("min", "mean", "max"))
    store.end_aggregates(POD, "r")
    assert (page(store), holder.quota.used) == ("", 0)


def test_the_backlog_of_a_rank_that_is_gone_keeps_no_aggregate_off_the_page(pod):
    pod, store, ranks = pod(ranks=1), Store(SeriesRules()), [Holder(), Holder()]
    pod.take(row(1, loss=2.5), rank=0)
    store.take_aggregates(POD, "r", [pod.kept.rounds[0][2]], set(ranks))
    store.caught_up(ranks[0])
    assert "wandb_metric_" not in page(store)
    store.release(ranks[1])
    assert "wandb_metric_" in page(store)


def test_aggregates_without_room_are_counted(pod):
    pod, store, holder = pod(ranks=1), Store(SeriesRules()), Holder(limit=5)
    pod.take(row(1, loss=1, b_loss=1), rank=0)
    store.take_aggregates(POD, "r", [each for *_, each in pod.kept.rounds], {holder})
    assert holder.drops == {"series_per_pod": 1}
    store.end_aggregates(POD, "r")
    assert holder.quota.used == 0
