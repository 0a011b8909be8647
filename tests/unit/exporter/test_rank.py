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
    assert read == [2, 3, 3]  # a part is no less than a chunk, and the last may go beyond it
    reader.close()
