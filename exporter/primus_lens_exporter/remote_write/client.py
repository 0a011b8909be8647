# SPDX-License-Identifier: Apache-2.0
"""One POST to the receiver, with its credentials. It must never log or return them.

Files with credentials and certificates are read again for each request, so that they may
be rotated. Redirects are not followed: they could carry credentials elsewhere.
"""

from __future__ import annotations

import base64
import email.utils
import os
import ssl
import time
from pathlib import Path
from typing import NamedTuple, Self

import aiohttp
from primus_lens_hook import __version__
from yarl import URL

from primus_lens_exporter.remote_write.config import BasicAuth, Config, TlsConfig
from primus_lens_exporter.remote_write.protocol import HEADERS

TEXT_BYTES = 256  # of the receiver's answer


class NoAnswer(Exception):
    """The receiver may or may not have got the request; the text says what happened."""


class Answer(NamedTuple):
    """What the receiver said."""

    status: int
    text: str
    """Its beginning, as it was sent."""

    retry_after: float | None
    """Seconds, if it named a time."""


class Client:
    """Speaks to one receiver. Use within `async with`."""

    def __init__(self, url: URL, config: Config) -> None:
        self._url = url.with_user(None)
        self._config = config
        self._in_url = BasicAuth(url.user or "", url.password or "") if url.user else None
        self._tls: ssl.SSLContext | None = None
        self._tls_state: object = None
        self._session: aiohttp.ClientSession | None = None

    @property
    def shown(self) -> str:
        """The URL without what may be secret in it."""
        return str(self._url.with_query(None).with_fragment(None))

    def check(self) -> None:
        """Read all files once. Raises OSError (of which ssl.SSLError is one) or ValueError."""
        self._headers()
        self._context()

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            auto_decompress=False,
            connector=aiohttp.TCPConnector(limit=1),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=self._config.timeout_seconds),
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._session is not None:
            await self._session.close()

    async def post(self, body: bytes) -> Answer:
        """Raises NoAnswer."""
        assert self._session is not None
        try:
            async with self._session.post(
                self._url,
                data=body,
                headers=self._headers(),
                ssl=self._context(),
                server_hostname=self._config.tls_config.server_name,
                allow_redirects=False,
            ) as response:
                text = await response.content.read(TEXT_BYTES)
                after = _seconds(response.headers.get("Retry-After", ""))
                return Answer(response.status, text.decode("utf-8", "replace").strip(), after)
        except TimeoutError:
            raise NoAnswer(f"no answer within {self._config.remote_timeout}") from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise NoAnswer(_describe(error)) from None

    def _headers(self) -> dict[str, str]:
        headers = {**self._config.headers, **HEADERS}
        headers["User-Agent"] = f"primus-lens-exporter/{__version__}"
        basic, bearer = self._config.basic_auth or self._in_url, self._config.authorization
        if bearer is not None:
            secret = _secret(bearer.credentials, bearer.credentials_file)
            headers["Authorization"] = f"{bearer.type} {secret}"
        elif basic is not None:
            pair = f"{basic.username}:{_secret(basic.password, basic.password_file)}"
            headers["Authorization"] = "Basic " + base64.b64encode(pair.encode()).decode()
        return headers

    def _context(self) -> ssl.SSLContext | bool:
        if self._url.scheme != "https":
            return True
        tls = self._config.tls_config
        files = (tls.ca_file, tls.cert_file, tls.key_file)
        state = [os.stat(file).st_mtime_ns for file in files if file]
        if self._tls is None or state != self._tls_state:
            self._tls, self._tls_state = _tls_context(tls), state
        return self._tls


def _tls_context(tls: TlsConfig) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=tls.ca_file)
    if tls.insecure_skip_verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if tls.cert_file:
        context.load_cert_chain(tls.cert_file, tls.key_file)
    return context


def _secret(text: str | None, file: str | None) -> str:
    secret = Path(file).read_text(encoding="utf-8").strip() if file else text or ""
    if not secret.isprintable():  # the text of aiohttp's own error would show it
        raise ValueError("the credentials hold a control character")
    return secret


def _seconds(retry_after: str) -> float | None:
    """RFC 9110: seconds or a date."""
    if retry_after.isascii() and retry_after.isdigit():
        return float(retry_after[:9])
    try:
        return max(0.0, email.utils.parsedate_to_datetime(retry_after).timestamp() - time.time())
    except (ValueError, OverflowError):
        return None


def _describe(error: Exception) -> str:
    if isinstance(error, UnicodeError):  # its text holds what could not be read
        return "the credentials are not UTF-8"
    return str(error) or type(error).__name__
