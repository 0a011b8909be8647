# SPDX-License-Identifier: Apache-2.0
"""`--web.config.file`: TLS, passwords and response headers, in Prometheus' own format.

The format is that of Prometheus' exporter-toolkit (docs/web-configuration.md there), so
that one file serves every exporter of a node. A file that is wrong must not open a running
server, nor take it down: the last good configuration stays.
"""

from __future__ import annotations

import logging
import os
import re
import ssl
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

import msgspec
from prometheus_client import Counter

from primus_lens_toolkit import yaml_text
from primus_lens_toolkit.file_watch import FileWatch
from primus_lens_toolkit.passwords import Passwords
from primus_lens_toolkit.tls_config import TlsServerConfig, choose, context

HEADERS: dict[str, tuple[str, ...]] = {  # and their values, where not any will do
    "Content-Security-Policy": (),
    "Strict-Transport-Security": (),
    "X-Content-Type-Options": ("nosniff",),
    "X-Frame-Options": ("deny", "sameorigin"),
    "X-XSS-Protection": (),
}
# A cost above 16 would keep the one thread that checks busy for seconds.
BCRYPT = re.compile(r"\$2[aby]\$(0[4-9]|1[0-6])\$[./A-Za-z0-9]{53}")

log = logging.getLogger(__name__)


class BadWebConfig(Exception):
    """The text names the file, what is wrong and what to do."""


class HttpServerConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`http2` has no effect: aiohttp speaks HTTP/1.1."""

    http2: bool = True
    headers: dict[str, str] | None = None


class Document(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The file as it is written; an absent or empty section is None."""

    tls_server_config: TlsServerConfig | None = None
    http_server_config: HttpServerConfig | None = None
    basic_auth_users: dict[str, str] | None = None


class WebConfig(NamedTuple):
    """What the server goes by."""

    tls: ssl.SSLContext | None = None
    allowed_sans: frozenset[str] = frozenset()
    passwords: Passwords | None = None
    headers: Mapping[str, str] = MappingProxyType({})


class WebConfigFile:
    """The configuration in force, read again when one of its files has changed."""

    def __init__(self, path: Path | None, failures: Counter) -> None:
        """Without a path, plain HTTP. Raises BadWebConfig."""
        self.current = WebConfig()
        self._path = path
        self._failures = failures
        self._watch = FileWatch()
        if path is not None:
            self.current = self._read(path)

    def look(self) -> None:
        """Read again what has changed. Call about once a second; never raises."""
        if self._path is not None and self._watch.changed():
            self._reload(self._path)

    def _reload(self, path: Path) -> None:
        try:
            self.current = _successor(path, self.current, self._read(path))
        except BadWebConfig as error:
            self._failures.inc()
            log.warning("web configuration stays as it was", extra={"error": str(error)})
        else:
            log.info("web configuration read again", extra={"file": str(path)})

    def _read(self, path: Path) -> WebConfig:
        try:
            self._watch.restart(path)
            document = _decode(path.read_bytes())
            if document.tls_server_config:
                self._watch.add(*document.tls_server_config.files(path.parent))
            return _build(document, path.parent)
        except OSError as error:
            reason = os.strerror(error.errno) if error.errno else str(error)
            raise BadWebConfig(
                f"{path}: cannot read {error.filename}: {reason}; make it a readable file"
            ) from error
        except ValueError as error:
            raise BadWebConfig(f"{path}: {error}") from error


def _successor(path: Path, old: WebConfig, new: WebConfig) -> WebConfig:
    """An empty file is a good one, but must not open a server that was closed."""
    if (old.tls is None) != (new.tls is None):
        raise BadWebConfig(f"{path}: TLS goes on or off with a restart only; restart to do so")
    if old.passwords is not None and new.passwords is None:
        raise BadWebConfig(f"{path}: passwords go with a restart only; restart to do so")
    return new


def _decode(content: bytes) -> Document:
    try:
        return msgspec.convert(yaml_text.parse(content), Document | None) or Document()
    except ValueError as error:
        raise ValueError(f"{error}; docs/web-config.md lists the keys") from error


def _build(document: Document, directory: Path) -> WebConfig:
    http, tls = document.http_server_config, document.tls_server_config
    headers = (http.headers if http else None) or {}
    users = document.basic_auth_users or {}
    _check_headers(headers)
    _check_users(users)
    return WebConfig(
        tls=context(tls, directory) if tls else None,
        allowed_sans=tls.client_allowed_sans if tls else frozenset(),
        passwords=Passwords(users) if users else None,
        headers=headers,
    )


def _check_headers(headers: Mapping[str, str]) -> None:
    for name, value in headers.items():
        values = choose("headers", name, HEADERS)
        if values:
            choose(name, value, dict.fromkeys(values))
        if not value.isascii() or not value.isprintable():
            raise ValueError(f"{name}: write it in ASCII on one line")


def _check_users(users: Mapping[str, str]) -> None:
    for user, hashed in users.items():
        if not BCRYPT.fullmatch(hashed):
            raise ValueError(
                f"basic_auth_users: {user!r} needs a bcrypt hash with a cost of 4 to 16; "
                'make one with: htpasswd -nBC 10 ""'
            )
