# SPDX-License-Identifier: Apache-2.0
"""Builds the exporter from its parts and runs it. No other module may connect parts."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import dataclasses
import gc
import logging
from collections.abc import Coroutine, Sequence

from primus_lens_hook import __version__
from primus_lens_toolkit import descriptors, listen
from primus_lens_toolkit.kubernetes_api import Api
from primus_lens_toolkit.same_site import SameSite

from primus_lens_exporter.live.health import health
from primus_lens_exporter.live.history import Bounds
from primus_lens_exporter.live.overview import Overview
from primus_lens_exporter.otlp import setup as otlp
from primus_lens_exporter.pods.cache import PodCache
from primus_lens_exporter.pods.informer import PodInformer
from primus_lens_exporter.pods.telemetry import KubernetesTelemetry
from primus_lens_exporter.reading import misplaced
from primus_lens_exporter.reading.consumer import Consumer
from primus_lens_exporter.reading.counts import Counts
from primus_lens_exporter.reading.follow import Follower
from primus_lens_exporter.reading.open_files import OpenFiles
from primus_lens_exporter.reading.safe_open import require_openat2
from primus_lens_exporter.reading.sources import (
    DirectorySource,
    KubeletSource,
    SharedSource,
    Source,
)
from primus_lens_exporter.reading.tenant import Tenants
from primus_lens_exporter.reading.watcher import Watcher
from primus_lens_exporter.remote_write import setup as remote_write
from primus_lens_exporter.sending.outbox import Outbox
from primus_lens_exporter.series.store import Store
from primus_lens_exporter.serving.page import Page
from primus_lens_exporter.serving.routes import application
from primus_lens_exporter.serving.telemetry import Telemetry
from primus_lens_exporter.settings import Settings

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # malloc.h

log = logging.getLogger(__name__)


async def serve(settings: Settings) -> None:
    """Export until SIGTERM or SIGINT.

    Raises CannotListen, NoOpenat2, NotConfigured, CannotSend and TooFewDescriptors.
    """
    require_openat2()
    parts = descriptors.parts(settings.web_max_connections)
    settings = dataclasses.replace(settings, web_max_connections=parts.connections)
    open_files = OpenFiles(parts.files)
    keep_freed_memory()
    _warn_of_misplaced(settings)
    telemetry, pods = Telemetry(), PodCache()
    store = Store(settings)
    async with contextlib.AsyncExitStack() as stack:
        if settings.of_pods:
            informer = _informer(settings, telemetry, pods)
            stack.callback(informer.stop)
        follower = _follower(store, settings, telemetry.reading, pods, open_files)
        stack.callback(follower.close)
        work = [follower.run()]
        for outbox in _outboxes(settings, telemetry):
            # Counted once: its own view of the same files is not on the page.
            sender = _follower(outbox, settings, Counts(), pods, open_files)
            stack.callback(sender.close)
            stack.callback(outbox.close)  # before the sender lets go of its files
            work += [sender.run(), outbox.run()]
        gc.freeze()  # what was imported never becomes garbage
        stop = listen.stop_signal()
        asked = pods if settings.of_pods else None
        overview = Overview(store, lambda: health(store, telemetry.reading, follower, asked))
        bounds = Bounds(settings.limits_history_bytes, settings.limits_line_bytes, settings)
        names = settings.kubernetes_node_name, settings.web_listen_address.host
        same_site = SameSite(names, telemetry.refused_clients)
        app = application(Page(store, telemetry), overview, follower, bounds, same_site)
        runner = await listen.listen(
            app, settings.web_listen_address, settings, telemetry.refused_clients
        )
        stack.push_async_callback(runner.cleanup)
        await _until(stop, work)
    log.info("stopped")


async def _until(stop: asyncio.Event, work: Sequence[Coroutine[None, None, None]]) -> None:
    """Work until told to stop. None of it ever ends by itself: what ends it is raised."""
    running = [asyncio.create_task(each) for each in work]
    stopping = asyncio.create_task(stop.wait())
    try:
        done, _ = await asyncio.wait({*running, stopping}, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in (*running, stopping):
            task.cancel()
        await asyncio.gather(*running, stopping, return_exceptions=True)


def _outboxes(settings: Settings, telemetry: Telemetry) -> list[Outbox]:
    """Of the protocols that have a receiver."""
    made = (each.outbox(settings, settings, telemetry.registry) for each in (remote_write, otlp))
    return [outbox for outbox in made if outbox is not None]


def _informer(settings: Settings, telemetry: Telemetry, pods: PodCache) -> PodInformer:
    informer = PodInformer(
        Api(f"primus-lens-exporter/{__version__}"),
        pods,
        KubernetesTelemetry(telemetry.registry, pods),
        "" if settings.records_all_nodes else settings.kubernetes_node_name,
        settings.kubernetes_pod_labels,
    )
    informer.start()
    return informer


def _warn_of_misplaced(settings: Settings) -> None:
    """Say which directory was meant, where one was named that holds no records."""
    root = settings.records_kubelet_root
    for flag, paths, look in (
        ("--records.path", settings.records_path, misplaced.records_path),
        ("--records.kubelet-root", (root,) if root else (), misplaced.kubelet_root),
        ("--records.shared-path", settings.records_shared_path, misplaced.shared_path),
    ):
        for path in paths:
            if (wrong := look(str(path))) is not None:
                log.warning("%s names the wrong directory: %s", flag, wrong, extra={"path": path})


def _follower(
    consumer: Consumer, settings: Settings, counts: Counts, pods: PodCache, open_files: OpenFiles
) -> Follower:
    """What reads all sources for one consumer."""
    watcher = Watcher()
    tenants = Tenants(settings, counts, pods, open_files)
    sources: list[Source] = [
        DirectorySource(str(path.absolute()), tenants, settings, watcher)
        for path in settings.records_path
    ]
    if settings.records_kubelet_root is not None:
        root = str(settings.records_kubelet_root.absolute())
        sources.append(KubeletSource(root, tenants, settings, watcher))
    sources += [
        SharedSource(str(path.absolute()), pods, tenants, settings, watcher)
        for path in settings.records_shared_path
    ]
    return Follower(sources, consumer, settings, counts, watcher)


def keep_freed_memory() -> None:
    """Let malloc reuse the memory of one page for the next.

    By default glibc gives the megabytes of each page back to the kernel and asks for them
    again at the next scrape: half of a scrape's time went into page faults (mallopt(3)).
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:  # not in musl
        mallopt(M_MMAP_THRESHOLD, 32 << 20)
        mallopt(M_TRIM_THRESHOLD, 32 << 20)
