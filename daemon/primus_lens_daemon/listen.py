# SPDX-License-Identifier: Apache-2.0
"""Starting an aiohttp application on HOST:PORT, and stopping it on SIGTERM or SIGINT."""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import signal
from typing import NamedTuple

from aiohttp import web

FLAG = "--web.listen-address"
SHUTDOWN_SECONDS = 3.0  # open scrapes get this long to end

log = logging.getLogger(__name__)


class Address(NamedTuple):
    """Where to listen; an empty host means every interface, port 0 any free one."""

    host: str
    port: int

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


class CannotListen(Exception):
    """The address cannot be bound; the text says why and what to do."""


def address(text: str) -> Address:
    """Parse HOST:PORT, :PORT or [IPv6]:PORT; ValueError otherwise."""
    host, colon, port = text.rpartition(":")
    if not colon or not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise ValueError(f"expected HOST:PORT with a port up to 65535, not {text!r}")
    if ":" in host and not (host.startswith("[") and host.endswith("]")):
        raise ValueError(f"write an IPv6 host in brackets, not {text!r}")
    return Address(host.strip("[]"), int(port))


async def listen(application: web.Application, where: Address) -> web.AppRunner:
    """Bind and start serving. Raises CannotListen."""
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=SHUTDOWN_SECONDS)
    await runner.setup()
    site = web.TCPSite(runner, where.host or None, where.port)
    try:
        await site.start()
    except OSError as error:
        await runner.cleanup()
        raise CannotListen(f"{FLAG} {where}: {_reason(error)}") from error
    for bound in runner.addresses:
        log.info("listening", extra={"address": str(Address(bound[0], bound[1]))})
    return runner


def _reason(error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return "the port is in use; stop what holds it or choose another port"
    if error.errno == errno.EACCES:
        return "not permitted; choose a port above 1023"
    if error.errno == errno.EADDRNOTAVAIL:
        return "this machine has no such address; choose one it has, or leave the host out"
    return (os.strerror(error.errno) if error.errno else str(error)) + "; choose another address"


def stop_signal() -> asyncio.Event:
    """An event that SIGTERM or SIGINT sets."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    return stop
