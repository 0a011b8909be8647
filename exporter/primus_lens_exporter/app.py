# SPDX-License-Identifier: Apache-2.0
"""Puts the exporter together and runs it. The only module that wires."""

from __future__ import annotations

import asyncio
import ctypes
import gc
import logging
import resource

from primus_lens_daemon import listen

from primus_lens_exporter.follow import Follower
from primus_lens_exporter.page import Page
from primus_lens_exporter.refusals import Refusals
from primus_lens_exporter.settings import Settings
from primus_lens_exporter.sources import DirectorySource
from primus_lens_exporter.store import Store
from primus_lens_exporter.telemetry import Telemetry
from primus_lens_exporter.web import application

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # malloc.h

log = logging.getLogger(__name__)


async def serve(settings: Settings) -> None:
    """Export until SIGTERM or SIGINT. Raises CannotListen."""
    _raise_file_limit()
    keep_freed_memory()
    gc.freeze()  # what was imported never becomes garbage
    store, telemetry = Store(), Telemetry()
    refusals = Refusals(telemetry)
    sources = [DirectorySource(path, refusals) for path in settings.records_path]
    follower = Follower(sources, store, telemetry, refusals, settings)
    paths = [str(path) for path in settings.records_path]
    app = application(Page(store, telemetry), follower, paths)
    stop = listen.stop_signal()
    runner = await listen.listen(app, settings.web_listen_address)
    following = asyncio.create_task(follower.run())
    stopping = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({following, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if following.done():
            following.result()  # it never ends by itself: this raises what ended it
    finally:
        following.cancel()
        stopping.cancel()
        await runner.cleanup()
        follower.close()
        log.info("stopped")


def _raise_file_limit() -> None:
    """One descriptor a file: the usual soft limit of 1024 is soon too low."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    log.debug("file limit", extra={"before": soft, "after": hard})


def keep_freed_memory() -> None:
    """Let malloc reuse the memory of one page for the next.

    By default glibc gives the megabytes of each page back to the kernel and asks for them
    again at the next scrape: half of a scrape's time went into page faults (mallopt(3)).
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:  # not in musl
        mallopt(M_MMAP_THRESHOLD, 32 << 20)
        mallopt(M_TRIM_THRESHOLD, 32 << 20)
