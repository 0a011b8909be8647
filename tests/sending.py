# SPDX-License-Identifier: Apache-2.0
"""What the exporter does for remote write, and nothing else: follow files and send.

As a program: `sending.py RECORDS SPOOL URL`.
"""

import asyncio
import contextlib
import signal
import subprocess
import sys
import time
from pathlib import Path

from primus_lens_exporter import app
from primus_lens_exporter.pods.cache import PodCache
from primus_lens_exporter.remote_write import setup
from primus_lens_exporter.settings import Settings
from primus_lens_exporter.telemetry import Telemetry
from yarl import URL

PREFIX = "primus_lens_exporter_remote_write_"


class Sending:
    """Within `async with`, the records below a directory are sent."""

    def __init__(self, records, spool, url, config=None, spool_bytes=1 << 30):
        self.telemetry = Telemetry()
        self.settings = Settings(records_path=(Path(records),))
        self.outbox = setup.outbox(
            URL(url), config, Path(spool), spool_bytes, self.telemetry.registry, 512, lambda _: True
        )

    async def __aenter__(self):
        self.follower = app._follower(self.outbox, self.settings, self.telemetry, PodCache())
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


async def main(records, spool, url):
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    async with Sending(records, spool, url):
        await stop.wait()


@contextlib.contextmanager
def process(records, spool, url):
    """The same in a process of its own."""
    command = [sys.executable, __file__, records, spool, url]
    with subprocess.Popen(command) as running:
        try:
            yield running
        finally:
            running.kill()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
