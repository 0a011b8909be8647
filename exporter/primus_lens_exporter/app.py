# SPDX-License-Identifier: Apache-2.0
"""Builds the exporter from its parts and runs it. No other module may connect parts."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import gc
import logging
import threading
import time
from collections.abc import Callable, Coroutine, Iterable, Iterator, Sequence

from primus_lens_hook import __version__
from primus_lens_toolkit import descriptors, listen, malloc
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
from primus_lens_exporter.reading.loop_consumer import LoopConsumer
from primus_lens_exporter.reading.mount_reader import DESCRIPTORS, MountReader
from primus_lens_exporter.reading.open_files import OpenFiles
from primus_lens_exporter.reading.places import Kind, Place, place, source
from primus_lens_exporter.reading.readers import Readers
from primus_lens_exporter.reading.safe_open import require_openat2
from primus_lens_exporter.reading.tenant import Tenants, node_quota
from primus_lens_exporter.reading.watcher import Watcher
from primus_lens_exporter.remote_write import setup as remote_write
from primus_lens_exporter.sampling.setup import Sampling
from primus_lens_exporter.seccomp import refuse_handles
from primus_lens_exporter.sending.outbox import Outbox
from primus_lens_exporter.series.store import Store
from primus_lens_exporter.serving.page import Page
from primus_lens_exporter.serving.routes import application
from primus_lens_exporter.serving.telemetry import Telemetry
from primus_lens_exporter.settings import Settings

LOOKS = {
    Kind.DIRECTORY: misplaced.records_path,
    Kind.KUBELET: misplaced.kubelet_root,
    Kind.SHARED: misplaced.shared_path,
}

log = logging.getLogger(__name__)


async def serve(settings: Settings) -> None:
    """Export until SIGTERM or SIGINT.

    Raises CannotListen, CannotSample, CannotSend, NoOpenat2, NotConfigured, TooFewDescriptors.
    """
    refuse_handles()
    require_openat2()
    parts = descriptors.parts(settings.web_max_connections)
    settings = dataclasses.replace(settings, web_max_connections=parts.connections)
    open_files = OpenFiles(parts.files)
    keep_freed_memory()
    _warn_of_misplaced(settings)
    telemetry, pods = Telemetry(), PodCache()
    counts = telemetry.new_counts()
    sampling = Sampling(settings, settings, settings.limits_series_per_pod, counts)
    store = Store(settings, time.time())
    async with contextlib.AsyncExitStack() as stack:
        if settings.of_pods:
            informer = _informer(settings, telemetry, pods)
            stack.callback(informer.stop)
        outboxes = _outboxes(settings, telemetry)
        consumers = [sampling.before(store, telemetry.registry), *map(sampling.before, outboxes)]
        readers = _readers(consumers, settings, counts, telemetry.new_counts, pods, open_files)
        stack.callback(readers.close)
        for outbox in outboxes:
            stack.push_async_callback(outbox.close)  # before the readers let go of their files
        work = [*readers.work(), *(outbox.run() for outbox in outboxes), *sampling.work()]
        stack.callback(_close, work)  # where a later part cannot start, nobody awaits it
        gc.freeze()  # what was imported never becomes garbage
        stop = listen.stop_signal()
        asked = pods if settings.of_pods else None
        overview = Overview(
            store, readers, lambda: health(store, telemetry.reading, readers, asked)
        )
        bounds = Bounds(settings.limits_history_bytes, settings.limits_line_bytes, settings)
        names = settings.kubernetes_node_name, settings.web_listen_address.host
        same_site = SameSite(names, telemetry.refused_clients)
        app = application(Page(store, telemetry), overview, readers, bounds, same_site)
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


def _close(work: Iterable[Coroutine[None, None, None]]) -> None:
    for each in work:
        each.close()


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
    for each in _places(settings):
        if each.can_hang:
            threading.Thread(target=_warn_if_misplaced, args=(each,), daemon=True).start()
        else:
            _warn_if_misplaced(each)


def _warn_if_misplaced(place: Place) -> None:
    if (wrong := LOOKS[place.kind](place.path)) is not None:
        flag, said = place.kind.value, {"path": place.path}
        log.warning("%s names the wrong directory: %s", flag, wrong, extra=said)


def _readers(
    consumers: Sequence[Consumer],
    settings: Settings,
    counts: Counts,
    new_counts: Callable[[], Counts],
    pods: PodCache,
    open_files: OpenFiles,
) -> Readers:
    """What reads all sources for the consumers, which are on the event loop."""
    nodes = [node_quota(settings) for _ in consumers]

    def follower(
        places: Iterable[Place], consumers: Sequence[Consumer], counts: Counts
    ) -> Follower:
        watcher, tenants = Watcher(), Tenants(settings, counts, pods, open_files, nodes)
        sources = [source(each, pods, tenants, settings, watcher) for each in places]
        return Follower(sources, consumers, settings, counts, watcher)

    local, mounts = [], []
    for each in _places(settings):
        if each.apart:
            open_files.add(DESCRIPTORS)
            apart, proxies = new_counts(), [LoopConsumer(consumer) for consumer in consumers]
            reading = follower([each], proxies, apart)
            mounts.append(MountReader(each.path, reading, proxies, apart))
        else:
            local.append(each)
    return Readers(follower(local, consumers, counts), mounts)


def _places(settings: Settings) -> Iterator[Place]:
    named = (
        (Kind.DIRECTORY, settings.records_path),
        (Kind.KUBELET, filter(None, [settings.records_kubelet_root])),
        (Kind.SHARED, settings.records_shared_path),
    )
    return (place(kind, path) for kind, paths in named for path in paths)


def keep_freed_memory() -> None:
    """Let malloc reuse the memory of one page for the next.

    By default glibc gives the megabytes of each page back to the kernel and asks for them
    again at the next scrape: half of a scrape's time went into page faults (mallopt(3)).
    """
    malloc.set_thresholds(32 << 20)
