# SPDX-License-Identifier: Apache-2.0
"""The exporter's reading side alone, and a consumer that remembers what it was given."""

import time

from primus_lens_exporter.pods.cache import PodCache
from primus_lens_exporter.reading.consumer import Consumer
from primus_lens_exporter.reading.counts import Counts
from primus_lens_exporter.reading.open_files import OpenFiles
from primus_lens_exporter.reading.rank import RankFiles
from primus_lens_exporter.reading.safe_open import SafeDirectory
from primus_lens_exporter.reading.settings import ReadingSettings
from primus_lens_exporter.reading.tenant import Tenants, node_quota
from primus_lens_exporter.reading.volume import RankDirectory, Volume
from primus_lens_exporter.reading.watcher import Watcher


class Recorder(Consumer):
    """What was delivered: numbers and offsets, in the order of the calls."""

    def __init__(self, calls=()):
        self.accepting = True
        self.calls = list(calls)
        self.positions = {}
        for _, positions in self.calls:
            self.positions.update(positions)

    def accepts(self, holder):
        return self.accepting

    def resume(self, file):
        return self.positions.get(file, 0)

    def forget(self, file):
        self.positions.pop(file, None)

    def take(self, labels, records, positions, holder):
        assert positions
        assert all(offset > self.positions.get(file, 0) for file, offset in positions.items())
        self.positions.update(positions)
        self.calls.append(([each.step for each in records], positions))

    @property
    def numbers(self):
        return [number for numbers, _ in self.calls for number in numbers]


def tenants_of(counts, consumers=1):
    options = ReadingSettings()
    nodes = [node_quota(options) for _ in range(consumers)]
    return Tenants(options, counts, PodCache(), OpenFiles(1000), nodes)


class Reader:
    """The reading side alone, on one rank's directory; its clock is the test's."""

    def __init__(self, root, *consumers, hold, kind=SafeDirectory):
        self.counts, self.watcher = Counts(), Watcher()
        options = ReadingSettings()
        tenants = tenants_of(self.counts, len(consumers))
        self.root = kind(str(root), hold=hold)
        directory = tenants.directory
        volume = Volume(self.root, ".", directory("."), directory, options, self.watcher)
        rank = RankDirectory("node_0/rank_0", "0", "0")
        self.rank = RankFiles(volume, rank, consumers, options, self.counts, self.watcher)
        self.now = time.monotonic()

    def look(self):
        self.now += 100
        self.rank.scan(self.now)

    def read(self, ranks=1):
        self.watcher.poll()
        self.rank.tenant.begin_tick(ranks)
        for _ in self.rank.read(self.now):
            pass
        self.root.release()

    def look_and_read(self):
        self.look()
        self.read()

    def close(self):
        self.rank.close()
        self.root.close()
        self.watcher.close()
