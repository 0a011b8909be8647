# SPDX-License-Identifier: Apache-2.0
import math
import os
import signal
import sqlite3
import subprocess
import sys

import pytest
from primus_lens_exporter.sending.counter_starts import CounterStart
from primus_lens_exporter.sending.spool import Commit, Entry, Spool, SpoolError

from support.serving import until

WRITE_FOR_EVER = """
import sys
from pathlib import Path
from primus_lens_exporter.sending.spool import Commit, Entry, Spool
spool = Spool(Path(sys.argv[1]), "remote_write")
start = spool.positions().get("f", 0)
for number in range(start, 1 << 60):
    spool.commit(Commit([Entry(0, b"%d" % number * 999, 1, number)], {"f": number + 1}, {}))
    print(number + 1, flush=True)
"""


@pytest.fixture
def opened(tmp_path):
    with_spools = []

    def open_one(directory=tmp_path / "spool"):
        with_spools.append(Spool(directory, "remote_write"))
        return with_spools[-1]

    yield open_one
    for each in with_spools:
        each.close()


def entry(body, samples=1):
    return Entry(0, body, samples, 5)


def test_requests_leave_in_the_order_in_which_they_came(opened):
    spool = opened()
    spool.commit(Commit([entry(b"one"), entry(b"two")], {}, {}))
    spool.commit(Commit([entry(b"three")], {}, {}))
    for body in (b"one", b"two", b"three"):
        oldest = spool.oldest()
        assert oldest[1:] == (body, 1, 5)
        spool.remove(oldest)
        spool.remove(oldest)  # after an error nobody knows whether it was removed
    assert spool.oldest() is None
    assert (spool.entries, spool.bytes) == (0, 0)


def test_everything_is_there_after_a_restart(opened):
    first = opened()
    first.commit(Commit([entry(b"12345")], {"a\udcff": 7, "b": 8}, {b"s": (3, 2)}))
    first.commit(Commit([], {"b": None, "c": 0}, {b"t": (1, 1), b"s": (4, 4)}))
    first.commit(Commit([], {}, {b"t": None}))
    first.close()
    second = opened()
    assert (second.entries, second.bytes, second.set_aside) == (1, 5, 0)
    assert second.positions() == {"a\udcff": 7, "c": 0}
    assert second.clocks() == {b"s": (4, 4)}


def test_positions_outlive_the_requests(opened):
    first = opened()
    first.commit(Commit([entry(b"x")], {"a": 7}, {}))
    first.remove(first.oldest())
    first.close()
    assert opened().positions() == {"a": 7}


def test_a_second_exporter_is_refused(opened):
    opened()
    with pytest.raises(SpoolError, match="in use by another exporter"):
        opened()


def test_a_directory_that_cannot_be_used_is_named(opened, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(SpoolError, match=r"file cannot be used: .+; name a directory"):
        opened(tmp_path / "file")


def overwritten(path):
    with path.open("r+b") as file:
        file.seek(5000)
        file.write(b"\xff" * 9000)


def other_version(path):
    with sqlite3.connect(path) as db:
        db.execute("pragma user_version = 99")
    db.close()


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.write_bytes(os.urandom(50_000)),
        lambda path: path.write_bytes(b"something else"),
        lambda path: os.truncate(path, 9000),
        overwritten,
        other_version,
    ],
)
def test_what_cannot_be_read_is_set_aside(opened, tmp_path, damage):
    first = opened()
    first.commit(Commit([entry(os.urandom(3000)) for _ in range(50)], {"a": 7}, {}))
    first.close()
    damage(tmp_path / "spool" / "remote_write.sqlite")
    second = opened()
    assert (second.entries, second.positions(), second.set_aside) == (0, {}, 1)
    second.commit(Commit([entry(b"x")], {"a": 8}, {}))
    assert len(list((tmp_path / "spool").glob("*.unreadable-*"))) >= 1


def test_starts_of_counters_last_as_long_as_their_series(opened):
    first, nan = opened(), CounterStart(9, math.nan)
    first.commit(
        Commit([], {}, {b"a": (1, 1), b"b": (2, 2)}, {b"a": CounterStart(5, 0.5), b"b": nan})
    )
    first.close()
    second = opened()
    assert second.starts()[b"a"] == CounterStart(5, 0.5)
    assert math.isnan(second.starts()[b"b"].value)
    second.commit(Commit([], {}, {b"a": None}, {b"a": None}))
    assert list(second.starts()) == [b"b"]


def test_a_spool_of_an_earlier_release_is_read(opened):
    first = opened()
    first.commit(Commit([entry(b"x")], {"a": 7}, {b"s": (1, 1)}))
    first._db.execute("drop table counter")
    first.close()
    second = opened()
    assert (second.entries, second.positions(), second.set_aside) == (1, {"a": 7}, 0)
    assert second.starts() == {}


def test_a_full_disk_costs_nothing_but_time(opened):
    spool = opened()
    spool.commit(Commit([entry(b"x")], {"a": 1}, {}))
    (pages,) = spool._db.execute("pragma page_count").fetchone()
    spool._db.execute(f"pragma max_page_count = {pages}")
    big = Commit([entry(os.urandom(100_000))], {"a": 2}, {})
    with pytest.raises(sqlite3.OperationalError, match="full"):
        spool.commit(big)
    assert (spool.positions(), spool.entries) == ({"a": 1}, 1)
    spool._db.execute("pragma max_page_count = 1000")
    spool.commit(big)
    assert (spool.positions(), spool.entries) == ({"a": 2}, 2)


def test_requests_and_positions_agree_whenever_the_process_is_killed(opened, tmp_path):
    command = [sys.executable, "-c", WRITE_FOR_EVER, tmp_path / "spool"]
    for _ in range(4):
        with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
            until(lambda reading=process.stdout: int(reading.readline()) % 20 == 0)
            process.send_signal(signal.SIGKILL)
            lines = process.stdout.read().split()
        spool = opened()
        assert spool.positions()["f"] == spool.entries
        assert spool.entries >= int(lines[-1] if lines else 0)
        spool.close()
