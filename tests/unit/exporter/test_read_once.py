# SPDX-License-Identifier: Apache-2.0
"""Several consumers of one rank: its files are read once, and none holds another one up."""

import os

import pytest
from primus_lens_exporter.reading.consumer import Consumer
from primus_lens_exporter.reading.rank import UNREAD_SECONDS
from primus_lens_exporter.reading.safe_open import SafeDirectory
from primus_lens_exporter.reading.tail import CHUNK

from support.reading import Reader, Recorder
from support.serving import record


class Keeper(Recorder):
    """Remembers the records, and what it was told to forget."""

    def __init__(self):
        super().__init__()
        self.records, self.released = [], []

    def take(self, labels, records, positions, holder):
        self.records += records
        super().take(labels, records, positions, holder)

    def release(self, holder):
        self.released.append(holder)


class Faulty(Consumer):
    def take(self, labels, records, positions, holder):
        raise ArithmeticError


class Counting(SafeDirectory):
    """How often files were opened."""

    opened = 0

    def open_regular(self, name):
        self.opened += 1
        return super().open_regular(name)


@pytest.fixture
def path(tmp_path):
    directory = tmp_path / "node_0" / "rank_0"
    directory.mkdir(parents=True)
    return directory / "wandb_metrics.jsonl"


@pytest.fixture
def consumers():
    return Keeper(), Keeper()


@pytest.fixture
def reader(tmp_path, path, consumers):
    reader = Reader(tmp_path, *consumers, hold=True)
    yield reader
    reader.close()


def append(path, *steps):
    with path.open("ab") as file:
        file.write(b"".join(record(step=step, timestamp=step) for step in steps))


@pytest.mark.parametrize("processes", [1, 2])
def test_all_get_the_same_records_decoded_once(path, reader, consumers, processes):
    for number in range(processes):
        append(path.with_name(f"wandb_metrics.p{number}.jsonl"), *range(number, 3000, processes))
    reader.look()
    for _ in range(3):
        reader.read(ranks=1_000_000)
    first, second = (each.records for each in consumers)
    assert [each.step for each in first] == [*range(3000)]
    assert all(one is other for one, other in zip(first, second, strict=True))
    assert reader.counts.lines["ok"] == 3000


def test_a_file_on_a_shared_volume_is_opened_once_in_a_turn(tmp_path, path):
    append(path, 1)
    reader = Reader(tmp_path, Recorder(), Recorder(), hold=False, kind=Counting)
    reader.look()
    append(path, 2)
    before = reader.root.opened
    reader.read()
    assert reader.root.opened == before + 1
    reader.close()


def test_one_that_lags_holds_nobody_up_and_is_counted_no_second_time(path, reader, consumers):
    append(path, 1)
    consumers[1].accepting = False
    reader.look_and_read()
    assert [each.numbers for each in consumers] == [[1], []]
    assert reader.rank.behind == 0
    consumers[1].accepting = True
    append(path, 2)
    reader.read()
    assert [each.numbers for each in consumers] == [[1, 2], [1, 2]]
    assert reader.counts.lines["ok"] == 2
    assert not reader.rank.schedule.behind


def test_one_that_stops_in_the_middle_goes_on_from_there(path, reader, consumers):
    steps = range(3 * CHUNK // len(record(step=1, timestamp=1)))
    append(path, *steps)
    consumers[1].accepts = lambda _: len(consumers[1].calls) < 1
    reader.look_and_read()
    assert len(consumers[0].numbers) > len(consumers[1].numbers) > 0
    del consumers[1].accepts
    reader.read()
    assert consumers[0].numbers == consumers[1].numbers == [*steps]


def test_one_that_resumes_elsewhere_reads_for_itself(tmp_path, path):
    append(path, 1, 2, 3)
    reader = Reader(tmp_path, before := Recorder(), hold=True)
    reader.look_and_read()
    reader.close()
    reader = Reader(tmp_path, first := Recorder(), second := Recorder(before.calls), hold=True)
    append(path, 4)
    reader.look_and_read()
    reader.close()
    assert (first.numbers, second.numbers) == ([1, 2, 3, 4], [1, 2, 3, 4])
    assert second.calls[-1][0] == [4]


def test_a_deleted_file_stays_open_until_all_have_read_it(path, reader, consumers):
    append(path, 1)
    consumers[1].accepting = False
    reader.look_and_read()
    path.unlink()
    reader.look_and_read()
    assert reader.rank.files == 1
    consumers[1].accepting = True
    reader.read()
    assert consumers[1].numbers == [1]
    assert reader.rank.files == 0


def test_a_rank_that_is_gone_is_released_by_each_when_it_has_read_it(path, reader, consumers):
    append(path, 1)
    consumers[1].accepting = False
    reader.look_and_read()
    reader.rank.gone()
    reader.read()
    assert not reader.rank.let_go(reader.now + UNREAD_SECONDS - 1, reader.now)
    assert [len(each.released) for each in consumers] == [1, 0]
    consumers[1].accepting = True
    reader.read()
    assert reader.rank.let_go(reader.now + UNREAD_SECONDS - 1, reader.now)
    assert [each.numbers for each in consumers] == [[1], [1]]


def test_a_rank_that_is_back_is_read_anew_by_whoever_had_released_it(path, reader, consumers):
    append(path, 1)
    consumers[1].accepting = False
    reader.look_and_read()
    reader.rank.gone()
    reader.read()
    reader.rank.let_go(reader.now + UNREAD_SECONDS - 1, reader.now)
    reader.rank.there_again()
    consumers[0].positions.clear()
    consumers[1].accepting = True
    reader.look_and_read()
    assert [each.numbers for each in consumers] == [[1, 1], [1]]


def test_a_fault_of_one_costs_the_others_nothing(tmp_path, path):
    append(path, 1)
    reader = Reader(tmp_path, Faulty(), good := Recorder(), hold=True)
    reader.look_and_read()
    assert good.numbers == [1]
    assert reader.counts.faults == 1
    reader.close()


def test_each_has_the_tenants_quotas_for_itself(path, reader, consumers):
    shares = reader.rank.tenant.shares
    append(path, 1)
    reader.look_and_read()
    assert shares[0].quota.take() is None
    assert (shares[0].quota.used, shares[1].quota.used) == (1, 0)


def test_a_file_is_open_once(path, reader):
    append(path, 1)
    reader.look_and_read()
    links = [os.path.realpath(f"/proc/self/fd/{fd}") for fd in os.listdir("/proc/self/fd")]
    assert links.count(str(path)) == 1
