# SPDX-License-Identifier: Apache-2.0
"""How a server is reached: its URL; credentials and TLS, from a file in the words of Prometheus.

The keys are those of Prometheus' `http_config`, as many as are supported; any other is
refused by name. No message may show a value: most of them are secrets.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import msgspec
from primus_lens_toolkit import yaml_text
from yarl import URL

from primus_lens_exporter.model.errors import ExporterError

# Keys of Prometheus' that somebody may bring along.
UNSUPPORTED = {
    "oauth2": "give a token in authorization.credentials_file",
    "proxy_url": "the exporter is reached directly",
    "follow_redirects": "they are not followed, since they would carry the credentials along",
}


class ConfigError(ExporterError, ValueError):
    """The file cannot be used; one line for the user."""


def server_url(text: str, example: str) -> URL:
    """An http or https URL with a host. Raises ValueError, without showing the URL."""
    try:
        url = URL(text)
    except ValueError:
        url = URL()
    if url.scheme not in ("http", "https") or not url.host:
        raise ValueError(f"expected a URL such as {example}")
    return url


class BasicAuth(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    username: str = ""
    password: str | None = None
    password_file: str | None = None


class Authorization(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    type: str = "Bearer"
    credentials: str | None = None
    credentials_file: str | None = None


class TlsConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    ca_file: str | None = None
    cert_file: str | None = None
    key_file: str | None = None
    server_name: str | None = None
    insecure_skip_verify: bool = False


class HttpConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The whole file; a subclass may have further keys."""

    basic_auth: BasicAuth | None = None
    authorization: Authorization | None = None
    tls_config: TlsConfig = TlsConfig()

    def check(self) -> None:
        """Raises ValueError for values that make no sense together."""
        basic, bearer, tls = self.basic_auth, self.authorization, self.tls_config
        if basic and bearer:
            raise ValueError("basic_auth and authorization exclude each other; keep one of them")
        if basic and basic.password is not None and basic.password_file is not None:
            raise ValueError("basic_auth: password and password_file exclude each other")
        if bearer and (bearer.credentials is None) == (bearer.credentials_file is None):
            raise ValueError("authorization: give either credentials or credentials_file")
        if (tls.cert_file is None) != (tls.key_file is None):
            raise ValueError("tls_config: cert_file and key_file belong together")


Config = TypeVar("Config", bound=HttpConfig)


def load(path: Path, kind: type[Config], unsupported: Mapping[str, str] = UNSUPPORTED) -> Config:
    """Read and check the file. `unsupported` says what to do instead. Raises ConfigError."""
    try:
        config = _decode(path.read_bytes(), path.resolve().parent, kind, unsupported)
        config.check()
        return config
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from None
    except RecursionError:  # an alias of what it is in
        raise ConfigError(f"{path}: not YAML") from None
    except ValueError as error:  # msgspec's are ValueErrors
        raise ConfigError(f"{path}: {error}") from None


def _decode(
    text: bytes, directory: Path, kind: type[Config], unsupported: Mapping[str, str]
) -> Config:
    found = yaml_text.parse(text)
    if isinstance(found, dict):
        for key in unsupported.keys() & found.keys():
            raise ConfigError(f"{key} is not supported: {unsupported[key]}")
        found = _absolute(found, directory)
    return msgspec.convert({} if found is None else found, kind)


def _absolute(part: dict[str, Any], directory: Path) -> dict[str, Any]:
    """Paths in the file start at the file's directory, as they do in Prometheus."""
    return {
        name: str(directory / value)
        if name.endswith("_file") and isinstance(value, str)
        else _absolute(value, directory)
        if isinstance(value, dict) and isinstance(name, str)
        else value
        for name, value in part.items()
    }
