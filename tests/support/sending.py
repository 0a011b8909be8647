# SPDX-License-Identifier: Apache-2.0
"""What the exporter does to send, and nothing else: follow files and post requests."""

import asyncio
import contextlib
import time
from pathlib import Path

from primus_lens_exporter import app
from primus_lens_exporter.otlp import setup as otlp
from primus_lens_exporter.otlp.config import endpoint
from primus_lens_exporter.pods.cache import PodCache
from primus_lens_exporter.reading.counts import Counts
from primus_lens_exporter.reading.open_files import OpenFiles
from primus_lens_exporter.remote_write import setup as remote_write
from primus_lens_exporter.serving.telemetry import Telemetry
from primus_lens_exporter.settings import Settings
from yarl import URL

from support.serving import Exporter

V1, V2, OTLP = PROTOCOLS = "1.0", "2.0", "otlp"


class Sending:
    """Within `async with`, the records below a directory are sent."""

    def __init__(self, records, spool, url, config=None, spool_bytes=1 << 30, protocol=V1):
        self.telemetry = Telemetry()
        part = "otlp" if protocol == OTLP else "remote_write"
        self.prefix = f"primus_lens_exporter_{part}_"
        given = {"config_file": config, "spool_directory": Path(spool), "spool_bytes": spool_bytes}
        if protocol == OTLP:
            given["endpoint"] = endpoint(url)
        else:
            given |= {"url": URL(url), "protocol": protocol}
        named = {f"{part}_{name}": value for name, value in given.items()}
        self.settings = Settings(records_path=(Path(records),), **named)
        setup = otlp if protocol == OTLP else remote_write
        self.outbox = setup.outbox(self.settings, self.settings, self.telemetry.registry)

    async def __aenter__(self):
        self.readers = app._readers(
            [self.outbox], self.settings, Counts(), Counts, PodCache(), OpenFiles(1000)
        )
        work = [self.outbox.run(), *self.readers.work()]
        self.tasks = [asyncio.create_task(each) for each in work]
        return self

    async def __aexit__(self, *_):
        for task in self.tasks:
            task.cancel()
        for result in await asyncio.gather(*self.tasks, return_exceptions=True):
            assert isinstance(result, asyncio.CancelledError), result
        self.readers.close()

    def value(self, name, **labels):
        return self.telemetry.registry.get_sample_value(self.prefix + name, labels)

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


def flags(url, spool, protocol=V1):
    """Of an exporter that sends."""
    if protocol == OTLP:
        return "--otlp.endpoint", url, "--otlp.spool-directory", spool
    to = "--remote-write.url", url, "--remote-write.spool-directory", spool
    return (*to, "--remote-write.protocol", protocol)


@contextlib.contextmanager
def process(records, *flags):
    """A real exporter that sends; what ends it is the caller's business."""
    exporter = Exporter(records, *flags)
    exporter.start()
    try:
        yield exporter.process
    finally:
        exporter.process.kill()
        exporter.process.communicate()
