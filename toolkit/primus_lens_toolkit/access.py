# SPDX-License-Identifier: Apache-2.0
"""Who may talk to a daemon, how many at once, and for how long.

HTTP clients are taken for hostile. What they can cost is bounded here and counted; a client
that is in time must not notice. aiohttp itself bounds request lines, headers and bodies.
"""

from __future__ import annotations

import asyncio
import dataclasses
import fcntl
import termios
from pathlib import Path
from typing import Any

from aiohttp import web
from aiohttp.typedefs import Handler
from prometheus_client import CollectorRegistry, Counter

from primus_lens_toolkit.certificates import alternative_names
from primus_lens_toolkit.flags import flag, limit
from primus_lens_toolkit.logs import LogSettings
from primus_lens_toolkit.passwords import Busy
from primus_lens_toolkit.web_config import WebConfigFile

KEEPALIVE_SECONDS = 120.0  # more than a scrape interval, and than an API server keeps its own
LINGERING_SECONDS = 1.0  # for a body that nobody wanted
REASONS = (
    "too_many_connections",
    "tls_handshake",
    "client_certificate",
    "slow_client",
    "bad_request",
    "method",
    "unauthorized",
    "login_queue",
)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class WebSettings(LogSettings):
    """What the settings of each daemon begin with."""

    web_config_file: Path | None = flag(
        "--web.config.file",
        "TLS, users and headers, in the format of Prometheus' exporter-toolkit",
        Path,
        default=None,
        metavar="FILE",
    )
    web_max_connections: int = limit(
        "--web.max-connections", "connections at once; further ones are closed and counted", 64
    )
    web_read_timeout_seconds: int = limit(
        "--web.read-timeout-seconds",
        "how long a client may take for a TLS handshake, or for the headers of a request",
        10,
        "SECONDS",
    )
    web_write_timeout_seconds: int = limit(
        "--web.write-timeout-seconds", "how long a client may take for a response", 60, "SECONDS"
    )


class Refused:
    """Counts what was refused. `prefix` is the daemon's, as `primus_lens_exporter_`."""

    def __init__(self, registry: CollectorRegistry, prefix: str) -> None:
        self._rejected = Counter(
            f"{prefix}http_rejected_total",
            "Connections and requests that were refused, by reason.",
            ["reason"],
            registry=registry,
        )
        self.reloads = Counter(
            f"{prefix}web_config_reload_failures_total",
            "Changes of the web configuration that were refused.",
            registry=registry,
        )
        for reason in REASONS:
            self._rejected.labels(reason)

    def count(self, reason: str) -> None:
        """One of REASONS."""
        self._rejected.labels(reason).inc()


class Connection(web.RequestHandler):
    """A connection that is cut off when its client keeps it waiting.

    From the connection, or the first byte of a request, to the end of its headers: the read
    timeout. From there until the response has been taken: the write timeout. aiohttp's own
    keep-alive timeout is for connections on which nothing is under way.
    """

    __slots__ = ("_due", "_idle", "_refused", "_settings", "_web_config", "_wire", "gone")

    def __init__(
        self, server: web.Server, web_config: WebConfigFile, settings: WebSettings, refused: Refused
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
        self._refused = refused
        self._wire: asyncio.Transport | None = None
        self._expect_within(settings.web_read_timeout_seconds)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._wire = transport  # aiohttp forgets its own when it closes it
        allowed = self._web_config.current.allowed_sans
        if allowed and not allowed & alternative_names(transport.get_extra_info("peercert")):
            self._refused.count("client_certificate")
            transport.abort()
            return
        super().connection_made(transport)

    def connection_lost(self, exc: BaseException | None) -> None:
        if not self.gone.done():
            self.gone.set_result(None)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._idle:
            self._expect_within(self._settings.web_read_timeout_seconds)
        super().data_received(data)

    def answering(self) -> None:
        """The headers of a request are complete."""
        self._expect_within(self._settings.web_write_timeout_seconds)

    async def finish_response(self, *arguments: Any) -> tuple[web.StreamResponse, bool]:
        """Sends the response; what does not fit into the kernel's buffer stays in ours."""
        finished = await super().finish_response(*arguments)
        self._idle = True
        return finished

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
        self._refused.count("bad_request")
        response = web.Response(status=status, text="Bad request.\n")
        response.force_close()
        return response

    def cut_if_slow(self, now: float) -> None:
        """Call about once a second."""
        if self._wire is None or self.gone.done() or now <= self._due:
            return
        if not self._idle or _untaken(self._wire):
            self._refused.count("slow_client")
            self.cut()

    def cut(self) -> None:
        """Drop what is unsent: closing politely would wait for the client to take it."""
        if self._wire is not None:
            self._wire.abort()

    def _expect_within(self, seconds: float) -> None:
        self._idle = False
        self._due = self._loop.time() + seconds


def _untaken(wire: asyncio.Transport) -> bool:
    """Whether bytes are still to be sent, or unacknowledged by the client (SIOCOUTQ, tcp(7)).

    asyncio's own count leaves out what its TLS layer has handed to the socket below it.
    """
    descriptor = wire.get_extra_info("socket").fileno()
    return descriptor >= 0 and any(fcntl.ioctl(descriptor, termios.TIOCOUTQ, bytes(4)))


def guard(application: web.Application, web_config: WebConfigFile, refused: Refused) -> None:
    """Set the configuration before every handler, for unknown paths and health checks too."""

    @web.middleware
    async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
        if isinstance(request.protocol, Connection):
            request.protocol.answering()
        passwords = web_config.current.passwords
        try:
            if passwords and not await passwords.admit(request.headers.get("Authorization", "")):
                refused.count("unauthorized")
                raise web.HTTPUnauthorized(headers={"WWW-Authenticate": "Basic"})
            return await handler(request)
        except Busy:
            refused.count("login_queue")
            raise web.HTTPServiceUnavailable(headers={"Retry-After": "1"}) from None
        except web.HTTPMethodNotAllowed:
            refused.count("method")
            raise

    async def add_headers(_: web.Request, response: web.StreamResponse) -> None:
        response.headers.update(web_config.current.headers)

    application.middlewares.insert(0, check)
    application.on_response_prepare.append(add_headers)
