# SPDX-License-Identifier: Apache-2.0
"""One rank's files, read within its part of what its tenant may read in a tick."""

from primus_lens_exporter.reading.tail import CHUNK

from support.reading import Reader, Recorder
from support.serving import record


def test_its_part_is_for_all_of_its_files_together(tmp_path):
    directory = tmp_path / "node_0" / "rank_0"
    directory.mkdir(parents=True)
    line = record(step=1)
    lines = [line] * (CHUNK * 3 // 4 // len(line))
    for number in range(3):
        (directory / f"wandb_metrics.p{number}.jsonl").write_bytes(b"".join(lines))
    reader = Reader(tmp_path, recorder := Recorder(), hold=True)
    reader.look()
    read = []
    for _ in range(3):
        reader.read(ranks=1_000_000)
        read.append(len(recorder.numbers) // len(lines))
    assert read == [1, 2, 3]  # a part is no less than a chunk, of which a file is three quarters
    reader.close()


def test_it_is_current_when_all_is_read_that_was_there_and_not_before_it_was_looked_at(tmp_path):
    directory = tmp_path / "node_0" / "rank_0"
    directory.mkdir(parents=True)
    path = directory / "wandb_metrics.jsonl"
    line = record(step=1)
    path.write_bytes(line * (CHUNK * 3 // len(line)))
    reader, seen = Reader(tmp_path, Recorder(), hold=True), []
    reader.read()
    for _ in range(5):
        reader.look()
        seen.append(reader.rank.is_current)
        with path.open("ab") as file:
            file.write(line * (CHUNK * 2 // len(line)))  # faster than it is read
        reader.read(ranks=1_000_000)
    assert seen == [False, False, True, True, True]  # it reads two chunks in a turn
    reader.close()
