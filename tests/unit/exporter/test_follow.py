# SPDX-License-Identifier: Apache-2.0
import time

import pytest
from primus_lens_exporter.reading.counts import Counts
from primus_lens_exporter.reading.follow import Follower
from primus_lens_exporter.reading.settings import ReadingSettings
from primus_lens_exporter.reading.sources import DirectorySource
from primus_lens_exporter.reading.watcher import Watcher

from support.reading import Recorder, tenants_of
from support.serving import record


@pytest.mark.parametrize("hold", [True, False], ids=["local", "network"])
def test_ready_as_soon_as_all_is_read(tmp_path, hold):
    rank = tmp_path / "node_0" / "rank_0"
    rank.mkdir(parents=True)
    (rank / "wandb_metrics.jsonl").write_bytes(record())
    options, counts, watcher = ReadingSettings(), Counts(), Watcher()
    source = DirectorySource(str(tmp_path), tenants_of(counts), options, watcher, hold=lambda: hold)
    follower = Follower([source], [Recorder()], options, counts, watcher)
    list(follower.tick(time.monotonic()))
    follower.close()
    assert follower.ready
