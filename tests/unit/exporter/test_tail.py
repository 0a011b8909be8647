# SPDX-License-Identifier: Apache-2.0
import os
import time

import pytest
from primus_lens_exporter.reading.file_handle import FileHandle
from primus_lens_exporter.reading.segment import Segment
from primus_lens_exporter.reading.tail import CAREFUL_CHUNK, CHUNK, Tail

from support.serving import record

LIMIT = 1 << 20


@pytest.fixture
def path(tmp_path):
    return tmp_path / "f.jsonl"


def open_tail(path):
    return Tail(FileHandle(os.open(path, os.O_RDONLY)), LIMIT)


def look(tail):
    return Segment(tail.file, [tail], "", 0).look()


@pytest.fixture
def append(path):
    def append(data):
        with path.open("ab") as file:
            file.write(data)

    return append


def everything(tail):
    chunks = []
    while (chunk := tail.read()) is not None:
        chunks.append(chunk)
    return b"".join(chunks)


def test_whole_lines_only(path, append):
    append(b"one\ntw")
    tail = open_tail(path)
    assert everything(tail) == b"one\n"
    append(b"o\nthree\n")
    assert everything(tail) == b"two\nthree\n"
    assert tail.read() is None


def test_a_line_cut_back_by_a_full_disk_is_read_once(path, append):
    append(b"one\ntor")
    tail = open_tail(path)
    assert everything(tail) == b"one\n"
    os.truncate(path, 4)
    assert look(tail) in (None, "grown")
    append(b"two\n")
    assert everything(tail) == b"two\n"


def test_a_line_of_100_megabytes_is_passed_over(path, append):
    append(b"one\n" + b"x" * (100 << 20) + b"\ntwo\n")
    tail = open_tail(path)
    assert everything(tail) == b"one\ntwo\n"
    assert tail.decoded(b"").results["too_long"] == 1
    assert not any(tail.decoded(b"").results.values())


def test_where_lines_are_bad_the_next_chunk_is_a_smaller_one(path, append):
    append(b"x" * 99 + b"\n" + record() * 5_000)
    tail = open_tail(path)
    sizes = [batch.size for batch in tail.batches()]
    assert sizes[0] > CHUNK - 100 > CAREFUL_CHUNK > sizes[1]
    assert sizes[2] > CAREFUL_CHUNK


@pytest.mark.parametrize("size", [300_000, LIMIT - 1])
def test_a_long_line_within_the_limit_is_read(path, append, size):
    line = b"x" * size + b"\n"
    append(b"a\n" + line + b"b\n")
    assert everything(open_tail(path)) == b"a\n" + line + b"b\n"


def test_truncated_and_rewritten(path, append):
    append(b"one\ntwo\n")
    tail = open_tail(path)
    everything(tail)
    path.write_bytes(b"new\n")
    assert look(tail) == "truncated"
    assert everything(tail) == b"new\n"


def test_replaced_in_place_at_the_same_size_and_longer(path, append):
    append(b"one\n")
    tail = open_tail(path)
    everything(tail)
    for text in (b"two\n", b"three\nfour\n"):
        time.sleep(0.02)  # a tick of the file system's clock
        path.write_bytes(text)
        assert look(tail) == "replaced"
        assert everything(tail) == text


def test_renamed_and_deleted_is_read_to_its_end(path, append, tmp_path):
    append(b"one\n")
    tail = open_tail(path)
    append(b"two\nthr")
    path.rename(tmp_path / "g")
    (tmp_path / "g").unlink()
    assert everything(tail) == b"one\ntwo\n"
    assert tail.rest() == b"thr"
    assert tail.rest() == b""


def test_a_hole_of_50_gigabytes_is_passed_in_a_few_reads(path, append):
    append(b"one\n")
    os.truncate(path, 50 << 30)
    append(b"two\n")
    tail = open_tail(path)
    text = b"".join(tail.read() or b"" for _ in range(10))
    assert text.replace(b"\0", b"") == b"one\ntwo\n"


def test_a_fingerprint_is_the_same_after_a_restart_and_another_files_is_not(path, append):
    append(b"one\ntwo\n")
    tails = open_tail(path), open_tail(path)
    everything(tails[0])
    tails[1].read()
    append(b"three\n")
    assert tails[0].file.fingerprint == tails[1].file.fingerprint
    path.write_bytes(b"ONE\n")  # the same inode
    again = open_tail(path)
    again.read()
    assert again.file.fingerprint != tails[0].file.fingerprint


def test_going_on_at_an_offset(path, append):
    append(b"one\ntwo\n")
    tail = open_tail(path)
    assert tail.skip_to(4)
    assert everything(tail) == b"two\n"
    assert not tail.skip_to(9)  # the file never had as much
    assert not tail.skip_to(0)


def test_a_descriptor_that_is_lent_for_a_pass(path, append, tmp_path):
    append(b"one\n")
    tail = open_tail(path)
    everything(tail)
    tail.file.detach()
    append(b"two\n")
    tail.file.attach(os.open(path, os.O_RDONLY))
    assert everything(tail) == b"two\n"
    tail.file.detach()
    (tmp_path / "other").touch()
    with pytest.raises(ValueError, match="another file"):
        tail.file.attach(os.open(tmp_path / "other", os.O_RDONLY))


def test_zeros_that_are_no_hole_are_waited_for(path, append):
    append(b"one\n" + bytes(100))  # on NFS: data that has not arrived
    tail = open_tail(path)
    assert everything(tail) == b"one\n"
    with path.open("r+b") as file:
        file.seek(4)
        file.write(b"x" * 99 + b"\n")
    assert everything(tail) == b"x" * 99 + b"\n"
