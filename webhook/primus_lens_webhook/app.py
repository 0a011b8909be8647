# SPDX-License-Identifier: Apache-2.0
"""Puts the webhook together and runs it. The only module that wires."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import gc
import logging

from aiohttp import web
from primus_lens_hook import __version__
from primus_lens_toolkit import descriptors, listen
from primus_lens_toolkit.kubernetes_api import Api

from primus_lens_webhook.ca.files import CertificateFiles
from primus_lens_webhook.ca.manager import CertificateManager
from primus_lens_webhook.settings import Settings
from primus_lens_webhook.telemetry import Telemetry
from primus_lens_webhook.web import admission_app, metrics_app

FIRST_LOOK_SECONDS = 0.1

Certificates = CertificateFiles | CertificateManager
log = logging.getLogger(__name__)


async def serve(settings: Settings) -> None:
    """Answer until SIGTERM or SIGINT. Raises CannotStart."""
    ports = 2
    parts = descriptors.parts(ports * settings.web_max_connections)
    settings = dataclasses.replace(settings, web_max_connections=parts.connections // ports)
    telemetry = Telemetry()
    async with contextlib.AsyncExitStack() as stack:
        certificates = _certificates(settings, stack)
        telemetry.expiry.set_function(lambda: certificates.expiry)
        if certificates.in_sync is not None:
            telemetry.sync_gauge().set_function(lambda: bool(certificates.in_sync))
        stop = listen.stop_signal()
        is_open = asyncio.Event()
        public = metrics_app(telemetry, lambda: is_open.is_set() and certificates.ready)
        where = settings.web_listen_address
        server = await listen.listen(public, where, settings, telemetry.rejections)
        stack.push_async_callback(server.cleanup)
        app = admission_app(settings, telemetry)
        opening = asyncio.create_task(_open(stack, app, settings, telemetry, certificates, is_open))
        stack.push_async_callback(_ended, opening)
        stopping = asyncio.create_task(stop.wait())
        await asyncio.wait({opening, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if opening.done():
            opening.result()
        gc.freeze()  # what was imported never becomes garbage
        await stopping
    log.info("stopped")


def _certificates(settings: Settings, stack: contextlib.AsyncExitStack) -> Certificates:
    if settings.certificate_directory is not None:
        files = CertificateFiles(settings.certificate_directory)
        stack.push_async_callback(_ended, asyncio.create_task(files.run()))
        return files
    manager = CertificateManager(Api(f"primus-lens-webhook/{__version__}"), settings)
    manager.start()
    stack.callback(manager.stop)
    return manager


async def _open(
    stack: contextlib.AsyncExitStack,
    app: web.Application,
    settings: Settings,
    telemetry: Telemetry,
    certificates: Certificates,
    is_open: asyncio.Event,
) -> None:
    """Listen to API servers as soon as there is a certificate: never without TLS."""
    while certificates.tls is None:  # noqa: ASYNC110 - a thread may be making it
        await asyncio.sleep(FIRST_LOOK_SECONDS)
    # Without the web configuration, whose passwords API servers do not bring.
    where = settings.webhook_listen_address
    server = await listen.listen(
        app,
        where,
        settings,
        telemetry.rejections,
        lambda: certificates.tls,
        "--webhook.listen-address",
    )
    stack.push_async_callback(server.cleanup)
    is_open.set()


async def _ended(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
