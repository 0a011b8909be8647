# SPDX-License-Identifier: Apache-2.0
"""Starting an aiohttp application on HOST:PORT, and stopping it on SIGTERM or SIGINT.

Connections are accepted here rather than by aiohttp, since each new one needs the TLS of
the configuration that is in force then, and has to be counted before its handshake.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import signal
import socket
import ssl
from collections.abc import Callable, Mapping, Sequence
from operator import itemgetter
from typing import Any

from aiohttp import web

from primus_lens_toolkit.access import Connection, Waiting, guard
from primus_lens_toolkit.errors import CannotStart
from primus_lens_toolkit.rejections import Rejections
from primus_lens_toolkit.warn_once import WarnOnce
from primus_lens_toolkit.web_config import BadWebConfig, WebConfigFile
from primus_lens_toolkit.web_settings import Address, WebSettings

SHUTDOWN_SECONDS = 3.0  # open scrapes get this long to end
# Connections that the kernel holds until they are accepted; its own limit is somaxconn. Where there
# are more, it drops their first packets, and clients try again after 1, 3 and 7 seconds.
BACKLOG = 4096
RETRY_SECONDS = 0.01  # after a connection gave way to one that could not be accepted
LOOK_SECONDS = 1.0  # between looks at slow clients and at the configuration

Tls = Callable[[], ssl.SSLContext | None]
log = logging.getLogger(__name__)


class CannotListen(CannotStart):
    """The address or the web configuration is no good; the text says why and what to do."""


class Server:
    """Accepts as many connections as the settings allow, until `cleanup`."""

    def __init__(
        self,
        runner: web.AppRunner,
        listeners: list[socket.socket],
        web_config: WebConfigFile,
        settings: WebSettings,
        rejections: Rejections,
        tls: Tls,
    ) -> None:
        self._runner = runner
        self._listeners = listeners
        self._web_config = web_config
        self._settings = settings
        self._rejections = rejections
        self._tls = tls
        self._open: dict[asyncio.Task[None], Connection] = {}
        self._displaced: set[asyncio.Task[None]] = set()
        self._warn_once = WarnOnce(log)
        self._tasks = [asyncio.create_task(self._accept(each)) for each in listeners]
        self._tasks.append(asyncio.create_task(self._look()))

    @property
    def addresses(self) -> list[Address]:
        """Where it listens, with the ports that were found for port 0."""
        return [Address(*listener.getsockname()[:2]) for listener in self._listeners]

    async def cleanup(self) -> None:
        """Stop accepting, let open requests end for a while, cut off the rest."""
        await _cancel(self._tasks)
        for listener in self._listeners:
            listener.close()
        await self._runner.cleanup()
        await _cancel([*self._open, *self._displaced])

    async def _accept(self, listener: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(0)  # sock_accept does not yield while more are waiting
            try:
                accepted, _ = await loop.sock_accept(listener)
            except ConnectionError:
                continue  # it went away in the queue
            except OSError as error:
                await self._cannot_accept(error)
                continue
            if len(self._open) >= self._settings.web_max_connections and not self._make_room():
                self._rejections.count("too_many_connections")
                accepted.close()
                continue
            connection = self._connection(accepted)
            task = loop.create_task(self._serve(accepted, connection))
            self._open[task] = connection
            task.add_done_callback(self._ended)

    async def _cannot_accept(self, error: OSError) -> None:
        """No descriptors, as a rule: the connection stays in the kernel's queue meanwhile."""
        self._rejections.count("accept_error")
        self._warn_once(str(error.errno), "cannot accept connections", error=str(error))
        await asyncio.sleep(RETRY_SECONDS if self._make_room() else LOOK_SECONDS)

    def _make_room(self) -> bool:
        """End the connection that has waited for its client longest; False where none does."""
        task = longest_waiting(self._open, asyncio.get_running_loop().time())
        if task is None:
            return False
        self._rejections.count("displaced")
        del self._open[task]
        self._displaced.add(task)
        task.cancel()
        return True

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._open.pop(task, None)
        self._displaced.discard(task)

    def _connection(self, accepted: socket.socket) -> Connection:
        server = self._runner.server
        assert server is not None
        return Connection(accepted, server, self._web_config, self._settings, self._rejections)

    async def _serve(self, accepted: socket.socket, connection: Connection) -> None:
        """As long as the connection lasts."""
        tls: dict[str, Any] = {}
        context = self._tls()
        if context is not None:
            timeout = self._settings.web_read_timeout_seconds
            tls = {
                "ssl": context,
                "ssl_handshake_timeout": timeout,
                "ssl_shutdown_timeout": timeout,
            }
        loop = asyncio.get_running_loop()
        try:
            await loop.connect_accepted_socket(lambda: connection, accepted, **tls)
            await connection.gone
        except OSError as error:
            self._rejections.count("tls_handshake")
            log.debug("TLS handshake failed", extra={"error": str(error)})
        finally:
            connection.cut()

    async def _look(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            self._web_config.look()
            for connection in list(self._open.values()):
                connection.look(loop.time())


def longest_waiting(
    connections: Mapping[asyncio.Task[None], Connection], now: float
) -> asyncio.Task[None] | None:
    """Whose client has kept it waiting longest. None that a request or a response is under way on.

    First those without a request, then those whose request is not whole, then those that take
    nothing of their response: whoever opens connections only to hold them locks nobody out.
    """
    waiting = [(since, task) for task, each in connections.items() if (since := each.waiting(now))]
    for (kind, _), task in sorted(waiting, key=itemgetter(0)):
        if kind is Waiting.TAKE_RESPONSE or not connections[task].on_the_wire():
            return task
    return None


async def _cancel(tasks: Sequence[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def listen(
    application: web.Application,
    where: Address,
    settings: WebSettings,
    rejections: Rejections,
    tls: Tls | None = None,
    flag: str = "--web.listen-address",
) -> Server:
    """Bind and start serving. Raises CannotListen, which names the flag of the address.

    `tls` is asked at each connection, for a port that the web configuration is not for; without
    it, TLS is as the web configuration says.
    """
    path = settings.web_config_file if tls is None else None
    try:
        web_config = WebConfigFile(path, rejections.reloads)
    except BadWebConfig as error:
        raise CannotListen(f"--web.config.file {error}") from error
    guard(application, web_config, rejections)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=SHUTDOWN_SECONDS)
    await runner.setup()
    try:
        listeners = await _bind(where)
    except OSError as error:
        await runner.cleanup()
        raise CannotListen(f"{flag} {where}: {_reason(error)}") from error
    tls = tls or (lambda: web_config.current.tls)
    server = Server(runner, listeners, web_config, settings, rejections, tls)
    for bound in server.addresses:
        log.info("listening", extra={"address": str(bound), "tls": tls() is not None})
    return server


async def _bind(where: Address) -> list[socket.socket]:
    """Listening sockets for each address of the host, as asyncio finds and binds them."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        asyncio.Protocol, where.host or None, where.port, start_serving=False
    )
    listeners = [bound.dup() for bound in server.sockets]
    server.close()
    try:
        for listener in listeners:
            listener.listen(BACKLOG)
    except OSError:
        for listener in listeners:
            listener.close()
        raise
    return listeners


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
