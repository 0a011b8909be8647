# SPDX-License-Identifier: Apache-2.0
"""Who may talk to a daemon, how many at once, and for how long.

HTTP clients are taken for hostile. What they can cost is bounded here and counted; a client
that is in time must not notice. aiohttp itself bounds request lines, headers and bodies.
"""

from __future__ import annotations

import asyncio
import enum
import fcntl
import socket
import struct
import termios
from typing import Any

from aiohttp import StreamReader, web
from aiohttp.typedefs import Handler

from primus_lens_toolkit.passwords import Busy
from primus_lens_toolkit.rejections import Rejections
from primus_lens_toolkit.tls_config import alternative_names
from primus_lens_toolkit.web_config import WebConfigFile
from primus_lens_toolkit.web_settings import WebSettings

KEEPALIVE_SECONDS = 120.0  # more than a scrape interval, and than an API server keeps its own
LINGERING_SECONDS = 1.0  # for a body that nobody wanted
STALLED_SECONDS = 2.0  # without a byte taken; a lost packet is sent again sooner
BYTES_ACKED = 120  # in struct tcp_info

WEB_CONFIG = web.AppKey("WEB_CONFIG", WebConfigFile)
"""Of an application: the configuration that it is served with."""


class Waiting(enum.IntEnum):
    """What a connection waits for its client to do; the lowest loses its place first."""

    NEXT_REQUEST = 0
    REQUEST = 1
    TAKE_RESPONSE = 2


class Connection(web.RequestHandler):
    """A connection that is cut off when its client keeps it waiting.

    From the connection, or the first byte of a request, to the end of its headers: the read
    timeout. From there until the response has been taken: the write timeout. aiohttp's own
    keep-alive timeout is for connections on which nothing is under way.
    """

    __slots__ = (
        "_asked", "_body", "_due", "_idle", "_rejections", "_settings", "_since", "_socket",
        "_taken", "_taken_at", "_untaken", "_web_config", "_wire", "gone",
    )  # fmt: skip

    def __init__(
        self,
        accepted: socket.socket,
        server: web.Server,
        web_config: WebConfigFile,
        settings: WebSettings,
        rejections: Rejections,
    ) -> None:
        loop = asyncio.get_running_loop()
        super().__init__(
            server,
            loop=loop,
            access_log=None,  # type: ignore[arg-type]  # as AppRunner itself is given it
            keepalive_timeout=KEEPALIVE_SECONDS,
            lingering_time=LINGERING_SECONDS,
            auto_decompress=False,  # a body that nobody reads is not inflated either
        )
        self.gone: asyncio.Future[None] = loop.create_future()
        self._web_config = web_config
        self._settings = settings
        self._rejections = rejections
        self._socket = accepted
        self._wire: asyncio.Transport | None = None
        self._asked = False  # whether a whole request has come, but for its body
        self._body: StreamReader | None = None
        self._untaken = False
        self._taken = 0
        self._taken_at = 0.0
        self._expect_within(settings.web_read_timeout_seconds)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._wire = transport  # aiohttp forgets its own when it closes it
        allowed = self._web_config.current.allowed_sans
        if allowed and not allowed & alternative_names(transport.get_extra_info("peercert")):
            self._rejections.count("client_certificate")
            transport.abort()
            return
        super().connection_made(transport)

    def connection_lost(self, exc: BaseException | None) -> None:
        if not self.gone.done():
            self.gone.set_result(None)
            if self._asked and not self._idle:
                self._rejections.count("client_left")
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._idle:
            self._expect_within(self._settings.web_read_timeout_seconds)
        super().data_received(data)
        self._asked = self._asked or bool(self._messages)

    def answering(self, request: web.BaseRequest) -> None:
        """The headers of a request are complete."""
        self._expect_within(self._settings.web_write_timeout_seconds)
        self._asked, self._body = True, request.content

    async def finish_response(self, *arguments: Any) -> tuple[web.StreamResponse, bool]:
        """Sends the response; what does not fit into the kernel's buffer stays in ours."""
        response, reset = await super().finish_response(*arguments)
        ended = reset or self.transport is None or self.transport.is_closing()
        self._idle = not (ended or self._messages)  # a client may ask again before it is answered
        self._since = self._loop.time()
        return response, reset

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Without aiohttp's traceback in the log for each malformed request."""
        if status != 400:
            return super().handle_error(request, status, exc, message)
        self._rejections.count("bad_request")
        response = web.Response(status=status, text="Bad request.\n")
        response.force_close()
        return response

    def waiting(self, now: float) -> tuple[Waiting, float] | None:
        """What it waits for its client to do, and since when; None while the server is at work."""
        if self._untaken:
            stalled = now - self._taken_at >= STALLED_SECONDS
            return (Waiting.TAKE_RESPONSE, self._taken_at) if stalled else None
        if self._idle:
            return Waiting.NEXT_REQUEST, self._since
        if not self._asked or (self._body is not None and not self._body.is_eof()):
            return Waiting.REQUEST, self._since
        return None

    def on_the_wire(self) -> bool:
        """Whether the kernel holds bytes of it: a request to be read, a response to be taken."""
        return any(_queued(self._socket, each) for each in (termios.FIONREAD, termios.TIOCOUTQ))

    def look(self, now: float) -> None:
        """Cut it off if it is too slow. Call about once a second."""
        if self._wire is None or self.gone.done():
            return
        taken = _acknowledged(self._socket)
        if taken != self._taken or not self._untaken:
            self._taken, self._taken_at = taken, now
        self._untaken = _queued(self._socket, termios.TIOCOUTQ) > 0
        if now > self._due and (self._untaken or not self._idle):
            self._rejections.count("slow_client")
            self.cut()

    def cut(self) -> None:
        """Drop what is unsent: closing politely would wait for the client to take it."""
        if self._wire is not None:
            self._wire.abort()
        self.gone.cancel()

    def _expect_within(self, seconds: float) -> None:
        self._idle = False
        self._asked, self._body = False, None
        self._since = self._loop.time()
        self._due = self._since + seconds


def _queued(connection: socket.socket, direction: int) -> int:
    """Bytes in the kernel's queue: SIOCINQ or SIOCOUTQ of tcp(7), by their other names.

    asyncio's own count leaves out what its TLS layer has handed to the socket below it.
    """
    if connection.fileno() < 0:
        return 0
    count: int = struct.unpack("i", fcntl.ioctl(connection, direction, bytes(4)))[0]
    return count


def _acknowledged(connection: socket.socket) -> int:
    """How many bytes the client has taken so far (tcpi_bytes_acked of linux/tcp.h)."""
    if connection.fileno() < 0:
        return 0
    info = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, BYTES_ACKED + 8)
    taken: int = struct.unpack_from("Q", info, BYTES_ACKED)[0] if len(info) > BYTES_ACKED else 0
    return taken


def guard(application: web.Application, web_config: WebConfigFile, rejections: Rejections) -> None:
    """Set the configuration before every handler, for unknown paths and health checks too."""

    @web.middleware
    async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
        if isinstance(request.protocol, Connection):
            request.protocol.answering(request)
        passwords = web_config.current.passwords
        try:
            if passwords and not await passwords.admit(request.headers.get("Authorization", "")):
                rejections.count("unauthorized")
                raise web.HTTPUnauthorized(headers={"WWW-Authenticate": "Basic"})
            return await handler(request)
        except Busy:
            rejections.count("login_queue")
            raise web.HTTPServiceUnavailable(headers={"Retry-After": "1"}) from None
        except web.HTTPMethodNotAllowed:
            rejections.count("method")
            raise

    async def add_headers(_: web.Request, response: web.StreamResponse) -> None:
        response.headers.update(web_config.current.headers)

    application[WEB_CONFIG] = web_config
    application.middlewares.insert(0, check)
    application.on_response_prepare.append(add_headers)
