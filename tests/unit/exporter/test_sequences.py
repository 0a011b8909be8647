# SPDX-License-Identifier: Apache-2.0
import pytest
from hypothesis import given
from hypothesis import strategies as st
from primus_lens_exporter.model.quota import Quota
from primus_lens_exporter.model.record import Record
from primus_lens_exporter.reading.sequences import Sequences


def rows(*numbers, run="r", start=0.0):
    return [Record(start + seq, {}, seq, run, seq=seq) for seq in numbers]


def plain(count):
    return [Record(float(at), {}, at, "r") for at in range(count)]


def fed(*batches, limit=99):
    sequences = Sequences(Quota(limit, "sequences_per_pod"))
    return sequences, [
        [record.seq for record in sequences.fresh(owner, batch)] for owner, batch in batches
    ]


@pytest.mark.parametrize(
    ("batches", "fresh", "count"),
    [
        ([("", rows(1, 2, 3))], [[1, 2, 3]], 3),
        ([("", rows(501, 502))], [[501, 502]], 502),  # older segments were deleted
        ([("", rows(1, 2, 3)), ("", rows(1, 2, 3, 4))], [[1, 2, 3], [4]], 4),  # a copy
        ([("", rows(7, 8)), ("", rows(1, 2, 3))], [[7, 8], []], 8),  # an old segment comes back
        ([("", rows(1, 2, 3)), ("", rows(1, start=9))], [[1, 2, 3], [1]], 1),  # begun anew
        ([("", rows(1, 2)), (".p7", rows(1, 2, 3))], [[1, 2], [1, 2, 3]], 5),
        ([("", rows(2, 1))], [[2]], 2),  # a line of before, again
        ([("", plain(3)), ("", rows(1, 2, start=9))], [[None] * 3, [1, 2]], 5),
        ([("", rows(0, -5, 1 << 60))], [[0, -5, 1 << 60]], 3),  # no numbers: counted
    ],
)
def test_each_record_is_there_once(batches, fresh, count):
    sequences, got = fed(*batches)
    assert (got, sequences.logged("r")) == (fresh, count)


def test_samples_are_no_log_calls():
    sequences, got = fed(("", [Record(1.0, {}, None, "r", sample=True)] * 2))
    assert (len(got[0]), sequences.logged("r")) == (2, 0)


@given(st.lists(st.sampled_from("ab"), max_size=40), st.integers(1, 5), st.data())
def test_however_it_is_cut_and_repeated(runs, size, data):
    counts, records = {"a": 0, "b": 0}, []
    for at, run in enumerate(runs):
        counts[run] += 1
        records.append(Record(float(at), {}, at, run, seq=counts[run]))
    sequences, taken = Sequences(Quota(9, "q")), []
    for start in range(0, len(records), size):
        back = data.draw(st.integers(0, start))
        taken += sequences.fresh("", records[back : start + size])
    assert taken == records
    assert {run: sequences.logged(run) for run in counts} == counts


def test_a_tenant_has_so_many_runs_and_gives_them_back():
    quota = Quota(3, "sequences_per_pod")
    first, second = Sequences(quota), Sequences(quota)
    for run in "abcd":
        first.fresh("", rows(1, run=run))
    second.fresh("", rows(1, run="x"))
    assert [*first] == ["b", "c", "d"]
    assert [*second] == ["x"]
    first.close()
    assert quota.used == 0
