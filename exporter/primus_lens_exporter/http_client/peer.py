# SPDX-License-Identifier: Apache-2.0
"""A server that is asked, with the credentials for it. It must never log or return them.

Files with credentials and certificates are read again for each request, so that they may
be rotated. Whoever makes a request follows no redirect: it could carry credentials elsewhere.
"""

from __future__ import annotations

import base64
import os
import ssl
from pathlib import Path
from typing import Self

import aiohttp
from primus_lens_hook import __version__
from yarl import URL

from primus_lens_exporter.http_client.config import BasicAuth, HttpConfig, TlsConfig


class Peer:
    """One server, and one connection to it. Use within `async with`."""

    def __init__(self, url: URL, config: HttpConfig, timeout_seconds: float) -> None:
        self.url = url.with_user(None)
        self._http = config
        self._timeout_seconds = timeout_seconds
        self._in_url = BasicAuth(url.user or "", url.password or "") if url.user else None
        self._tls: ssl.SSLContext | None = None
        self._tls_state: object = None
        self._session: aiohttp.ClientSession | None = None

    @property
    def shown(self) -> str:
        """The URL without what may be secret in it."""
        return str(self.url.with_query(None).with_fragment(None))

    @property
    def has_credentials(self) -> bool:
        """Whether any were given for a server that asks for them."""
        return bool(self._in_url or self._http.basic_auth or self._http.authorization)

    def check(self) -> None:
        """Read all files once. Raises OSError (of which ssl.SSLError is one) or ValueError."""
        if self._in_url and (self._http.basic_auth or self._http.authorization):
            raise ValueError("the URL has credentials too; keep one of them")
        self.identity()
        self.tls()

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            auto_decompress=False,
            connector=aiohttp.TCPConnector(limit=1),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=self._timeout_seconds),
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._session is not None:
            await self._session.close()

    @property
    def session(self) -> aiohttp.ClientSession:
        """For one request after the other."""
        assert self._session is not None
        return self._session

    def identity(self) -> dict[str, str]:
        """The headers that say who asks. Raises OSError or ValueError."""
        headers = {"User-Agent": f"primus-lens-exporter/{__version__}"}
        basic, bearer = self._http.basic_auth or self._in_url, self._http.authorization
        if bearer is not None:
            secret = _secret(bearer.credentials, bearer.credentials_file)
            headers["Authorization"] = f"{bearer.type} {secret}"
        elif basic is not None:
            pair = f"{basic.username}:{_secret(basic.password, basic.password_file)}"
            headers["Authorization"] = "Basic " + base64.b64encode(pair.encode()).decode()
        return headers

    def tls(self) -> ssl.SSLContext | bool:
        """What aiohttp takes as `ssl`. Raises OSError."""
        if self.url.scheme != "https":
            return True
        config = self._http.tls_config
        files = (config.ca_file, config.cert_file, config.key_file)
        state = [os.stat(file).st_mtime_ns for file in files if file]
        if self._tls is None or state != self._tls_state:
            self._tls, self._tls_state = _tls_context(config), state
        return self._tls


def describe(error: Exception) -> str:
    """What was wrong with a request or its files, without anything of the credentials."""
    if isinstance(error, UnicodeError):  # its text holds what could not be read
        return "the credentials are not UTF-8"
    if isinstance(error, OSError) and error.filename:
        return f"{error.filename}: {error.strerror}"
    return str(error) or type(error).__name__


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
