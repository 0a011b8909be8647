# SPDX-License-Identifier: Apache-2.0
"""What the exporter does for remote write, and nothing else: follow files and send."""

import asyncio
import contextlib
import time
from pathlib import Path

from primus_lens_exporter import app
from primus_lens_exporter.pods.cache import PodCache
from primus_lens_exporter.reading.counts import Counts
from primus_lens_exporter.remote_write import setup
from primus_lens_exporter.remote_write.settings import RemoteWriteSettings
from primus_lens_exporter.serving.telemetry import Telemetry
from primus_lens_exporter.settings import Settings
from yarl import URL

from support.serving import Exporter

PREFIX = "primus_lens_exporter_remote_write_"


class Sending:
    """Within `async with`, the records below a directory are sent."""

    def __init__(self, records, spool, url, config=None, spool_bytes=1 << 30):
        self.telemetry = Telemetry()
        self.settings = Settings(records_path=(Path(records),))
        remote = RemoteWriteSettings(
            remote_write_url=URL(url),
            remote_write_config_file=config,
            remote_write_spool_directory=Path(spool),
            remote_write_spool_bytes=spool_bytes,
        )
        self.outbox = setup.outbox(remote, self.settings, self.telemetry.registry)

    async def __aenter__(self):
        self.follower = app._follower(self.outbox, self.settings, Counts(), PodCache())
        self.tasks = [
            asyncio.create_task(self.outbox.run()),
            asyncio.create_task(self.follower.run()),
        ]
        return self

    async def __aexit__(self, *_):
        for task in self.tasks:
            task.cancel()
        for result in await asyncio.gather(*self.tasks, return_exceptions=True):
            assert isinstance(result, asyncio.CancelledError), result
        self.follower.close()

    def value(self, name, **labels):
        return self.telemetry.registry.get_sample_value(PREFIX + name, labels)

    @property
    def settled(self):
        """Samples that the receiver has, by its own word."""
        results = ("sent", "duplicate")
        return sum(self.value("samples_total", result=result) for result in results)

    async def wait(self, value, name, **labels):
        """Until one of our metrics has this value."""
        with contextlib.suppress(AssertionError):
            return await until(lambda: self.value(name, **labels) == value)
        raise AssertionError(f"{name}{labels} is {self.value(name, **labels)}, not {value}")


async def until(condition):
    """Let everything go on until a condition is true."""
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        await asyncio.sleep(0.005)


@contextlib.contextmanager
def process(records, spool, url):
    """A real exporter that sends; what ends it is the caller's business."""
    flags = "--remote-write.url", url, "--remote-write.spool-directory", spool
    exporter = Exporter(records, *flags)
    exporter.start()
    try:
        yield exporter.process
    finally:
        exporter.process.kill()
        exporter.process.communicate()
