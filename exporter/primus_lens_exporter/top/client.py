# SPDX-License-Identifier: Apache-2.0
"""Asks the exporter. What may go wrong is told in one line: what it was, and what to do."""

from __future__ import annotations

import os
import ssl
from http import HTTPStatus

import aiohttp
import msgspec
from yarl import URL

from primus_lens_exporter.http_client.config import HttpConfig
from primus_lens_exporter.http_client.peer import Peer, describe
from primus_lens_exporter.live.schema import Snapshot
from primus_lens_exporter.model.errors import ExporterError

TIMEOUT_SECONDS = 10.0
MOST_BYTES = 64 << 20  # far more than any exporter has to say
LANDING = b"Primus Lens"  # on the landing page of every version
STRANGER = "what answers there is no Primus Lens exporter; give an exporter's address"


class Trouble(ExporterError):
    """There is no answer to show; one line for the user, without what is secret in the URL."""


class Client(Peer):
    """Speaks to one exporter. Use within `async with`."""

    def __init__(self, url: URL, config: HttpConfig) -> None:
        super().__init__(url, config, TIMEOUT_SECONDS)
        self._server_name = config.tls_config.server_name

    async def runs(self) -> Snapshot:
        """The runs and the exporter's own state. Raises Trouble."""
        try:
            status, body = await self._get("api/v1/runs")
            if status == HTTPStatus.NOT_FOUND:
                raise Trouble(f"{self.shown}: {await self._why_not_found()}")
        except TimeoutError:
            raise Trouble(f"{self.shown}: no answer within {TIMEOUT_SECONDS:.0f} s") from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise Trouble(f"{self.shown}: {_reason(error)}") from None
        if status != HTTPStatus.OK:
            raise Trouble(f"{self.shown}: {self._refusal(status)}")
        try:
            return msgspec.json.decode(body, type=Snapshot)
        except (ValueError, RecursionError):  # msgspec's errors are ValueErrors
            raise Trouble(f"{self.shown}: {STRANGER}") from None

    async def _get(self, path: str) -> tuple[int, bytes]:
        async with self.session.get(
            self.url / path,
            # No page of another site asks: the exporter answers under any name then.
            headers={**self.identity(), "Accept-Encoding": "identity", "Sec-Fetch-Site": "none"},
            ssl=self.tls(),
            server_hostname=self._server_name,
            allow_redirects=False,
        ) as response:
            body = bytearray()
            async for part in response.content.iter_any():
                body += part
                if len(body) > MOST_BYTES:
                    raise ValueError(STRANGER)
            return response.status, bytes(body)

    async def _why_not_found(self) -> str:
        _, landing = await self._get("")
        if LANDING in landing:
            return "the exporter there is too old for this command (no /api/v1/runs); upgrade it"
        return STRANGER

    def _refusal(self, status: int) -> str:
        if status == HTTPStatus.UNAUTHORIZED and self.has_credentials:
            return "the credentials are refused; look at --http.config.file and the URL"
        if status == HTTPStatus.UNAUTHORIZED:
            return "it asks for credentials; give them in a file, with --http.config.file"
        if status // 100 == 3:
            return f"it answers with a redirect ({status}), which is not followed; give its target"
        if status == HTTPStatus.SERVICE_UNAVAILABLE:
            return "it is busy or not ready (503); try again"
        return f"{STRANGER} (status {status})"


def _reason(error: Exception) -> str:
    """An error of the connection, in our words."""
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        cause = error.certificate_error
        said = getattr(cause, "verify_message", "") or str(cause)
        return f"its certificate is not trusted ({said}); set tls_config in --http.config.file"
    if isinstance(error, aiohttp.ClientSSLError | ssl.SSLError):
        return "TLS failed; if the exporter has no TLS, give an http:// URL, else see tls_config"
    if isinstance(error, aiohttp.ClientConnectorError):
        cause = error.os_error
        number = cause.errno or 0
        said = os.strerror(number) if number > 0 else str(cause.strerror or cause)
        return f"{said[:1].lower()}{said[1:]}; is an exporter running there?"
    if isinstance(error, aiohttp.ServerDisconnectedError | aiohttp.ClientResponseError):
        return "no HTTP answer; if the exporter has TLS, give an https:// URL"
    return describe(error)
