# SPDX-License-Identifier: Apache-2.0
"""What happens between a look at the names, opening a file and reading it."""

import os
import time

import pytest
from primus_lens_exporter.reading.safe_open import SafeDirectory

from support.reading import Reader, Recorder
from support.serving import record


class Racing(SafeDirectory):
    """Whoever writes there renames a file after it was listed and before it is opened."""

    rename = None

    def open_regular(self, name):
        if self.rename is not None:
            os.rename(*self.rename)
            self.rename = None
        return super().open_regular(name)


def test_a_known_file_that_takes_a_new_ones_name_before_that_is_opened(tmp_path):
    directory = tmp_path / "node_0" / "rank_0"
    directory.mkdir(parents=True)
    known, new = directory / "wandb_metrics.p1.jsonl", directory / "wandb_metrics.p2.jsonl"
    known.write_bytes(record(step=1))
    recorder = Recorder()
    reader = Reader(tmp_path, recorder, hold=True, kind=Racing)
    before = len(os.listdir("/proc/self/fd"))
    reader.look_and_read()
    new.write_bytes(record(step=2))
    reader.root.rename = known, new
    for _ in range(3):
        reader.look_and_read()
    assert recorder.numbers == [1]
    assert len(os.listdir("/proc/self/fd")) == before + 2  # the root's and the file's
    reader.close()


def test_a_rotated_file_that_is_renamed_between_a_look_and_reading(tmp_path):
    directory = tmp_path / "node_0" / "rank_0"
    directory.mkdir(parents=True)
    (directory / "wandb_metrics.1.jsonl").write_bytes(record(step=1))
    recorder = Recorder()
    reader = Reader(tmp_path, recorder, hold=False)
    reader.look()
    reader.look()
    (directory / "wandb_metrics.1.jsonl").rename(directory / "wandb_metrics.2.jsonl")
    for _ in range(3):
        reader.read()
        reader.look()
    assert recorder.numbers == [1]
    reader.close()


def test_the_last_line_of_a_deleted_file_needs_no_newline(tmp_path):
    directory = tmp_path / "node_0" / "rank_0"
    directory.mkdir(parents=True)
    (directory / "wandb_metrics.jsonl").write_bytes(record(step=1)[:-1])
    recorder = Recorder()
    reader = Reader(tmp_path, recorder, hold=True)
    reader.look_and_read()
    assert recorder.numbers == []
    (directory / "wandb_metrics.jsonl").unlink()
    reader.look_and_read()
    assert recorder.numbers == [1]
    reader.close()


class Starved(SafeDirectory):
    """Somewhere in a look others got the processor, or the network did not answer."""

    def open(self, name, flags):
        time.sleep(0.1)
        return super().open(name, flags)


@pytest.mark.parametrize("local", [True, False])
def test_a_tenant_is_put_off_for_a_slow_network_and_not_for_a_busy_node(tmp_path, local):
    directory = tmp_path / "node_0" / "rank_0"
    directory.mkdir(parents=True)
    reader = Reader(tmp_path, Recorder(), hold=local, kind=Starved)
    reader.look()
    (directory / "wandb_metrics.jsonl").write_bytes(record(step=1))
    reader.watcher.poll()
    assert reader.rank.scan_due(reader.now + 1.5) == local
    reader.close()
