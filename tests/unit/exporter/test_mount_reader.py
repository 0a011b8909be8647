# SPDX-License-Identifier: Apache-2.0
import asyncio

import pytest
from primus_lens_exporter.reading.counts import Counts, together
from primus_lens_exporter.reading.follow import Follower
from primus_lens_exporter.reading.loop_consumer import LoopConsumer
from primus_lens_exporter.reading.mount_reader import MountReader
from primus_lens_exporter.reading.settings import ReadingSettings
from primus_lens_exporter.reading.sources import DirectorySource
from primus_lens_exporter.reading.watcher import Watcher

from support.reading import Recorder, tenants_of
from support.sending import until
from support.serving import record

OPTIONS = ReadingSettings()


class Impossible(Exception):
    pass


class BrokenSource:
    def volumes(self, now):
        raise Impossible

    def close(self):
        pass


class Keeper(Recorder):
    """Remembers what it was told to forget."""

    def __init__(self):
        super().__init__()
        self.forgotten = []

    forget = release = lambda self, what: self.forgotten.append(what)


def mount_reader(source, consumer, counts, watcher):
    proxies = [LoopConsumer(consumer)]
    follower = Follower([source], proxies, OPTIONS, counts, watcher)
    return MountReader("/x", follower, proxies, counts)


def test_what_ends_the_thread_is_raised_on_the_event_loop():
    async def follow():
        reader = mount_reader(BrokenSource(), Recorder(), Counts(), Watcher())
        await asyncio.wait_for(reader.run(), 10)

    with pytest.raises(Impossible):
        asyncio.run(follow())


def test_what_is_closed_at_the_end_is_not_forgotten(rank):
    consumer, counts = Keeper(), Counts()
    tenants = tenants_of(counts)
    (rank / "wandb_metrics.jsonl").write_bytes(record())

    async def follow():
        watcher = Watcher()
        source = DirectorySource(
            str(rank.parents[1]), tenants, OPTIONS, watcher, hold=lambda: False
        )
        reader = mount_reader(source, consumer, counts, watcher)
        running = asyncio.create_task(reader.run())
        await until(lambda: consumer.calls)
        running.cancel()
        await asyncio.wait({running})

    asyncio.run(follow())
    assert counts.file_events["closed"] == 1
    assert consumer.forgotten == []


def test_the_numbers_of_several_followers():
    parts = Counts(), Counts()
    for number, part in enumerate(parts, start=1):
        part.lines["ok"] = part.bytes = number
        part.tick_seconds = part.tick_timestamp = float(number)
        part.lag[("path", f"/{number}"),] = number, 0.0
    total = together(parts)
    assert (total.lines["ok"], total.bytes, len(total.lag)) == (3, 3, 2)
    assert (total.tick_seconds, total.tick_timestamp) == (2.0, 1.0)
