# SPDX-License-Identifier: Apache-2.0
"""`--remote-write.config.file`: how to reach the receiver, in the words of Prometheus.

The keys are those of `remote_write` in Prometheus' configuration, as many as are supported;
any other is refused by name. No message may show a value: most of them are secrets.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import msgspec
import yaml
from yarl import URL

from primus_lens_exporter.labels import added_label
from primus_lens_exporter.reading.consumer import Labels
from primus_lens_exporter.remote_write.protocol import HEADERS

UNSUPPORTED = {
    "write_relabel_configs": "choose keys where they are logged, or relabel in the receiver",
    "url": "give it as --remote-write.url",
    "send_exemplars": "there are none",
    "queue_config": "the spool takes its place",
}
UNITS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600}
OURS = {name.lower() for name in (*HEADERS, "Authorization", "Host", "Content-Length")}


class ConfigError(ValueError):
    """The file cannot be used; one line for the user."""


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


class Config(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The whole file."""

    basic_auth: BasicAuth | None = None
    authorization: Authorization | None = None
    tls_config: TlsConfig = TlsConfig()
    headers: dict[str, str] = {}
    remote_timeout: str = "30s"
    external_labels: dict[str, str] = {}

    @property
    def timeout_seconds(self) -> float:
        """`remote_timeout`. Raises ValueError."""
        match = re.fullmatch(r"(\d{1,9})(ms|s|m|h)", self.remote_timeout)
        if not match or int(match[1]) == 0:
            raise ValueError("remote_timeout: expected a duration such as 30s")
        return int(match[1]) * UNITS[match[2]]

    @property
    def labels(self) -> Labels:
        """`external_labels`. Raises ValueError."""
        return tuple(added_label(f"{name}={text}") for name, text in self.external_labels.items())


def load(path: Path) -> Config:
    """Read and check the file. Raises ConfigError."""
    try:
        config = _decode(path.read_bytes(), path.resolve().parent)
        _check(config)
        return config
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from None
    except yaml.MarkedYAMLError as error:  # its text quotes the line, password and all
        line = error.problem_mark.line + 1 if error.problem_mark else "?"
        raise ConfigError(f"{path}: not YAML: {error.problem} in line {line}") from None
    except (yaml.YAMLError, RecursionError):
        raise ConfigError(f"{path}: not YAML") from None
    except ValueError as error:  # UnicodeDecodeError and msgspec's are ValueErrors
        raise ConfigError(f"{path}: {error}") from None


def _decode(text: bytes, directory: Path) -> Config:
    found = yaml.safe_load(text)
    if isinstance(found, dict):
        for key in UNSUPPORTED.keys() & found.keys():
            raise ConfigError(f"{key} is not supported: {UNSUPPORTED[key]}")
        found = _absolute(found, directory)
    return msgspec.convert({} if found is None else found, Config)


def _check(config: Config) -> None:
    basic, bearer, tls = config.basic_auth, config.authorization, config.tls_config
    if basic and bearer:
        raise ConfigError("basic_auth and authorization exclude each other; keep one of them")
    if basic and basic.password is not None and basic.password_file is not None:
        raise ConfigError("basic_auth: password and password_file exclude each other")
    if bearer and (bearer.credentials is None) == (bearer.credentials_file is None):
        raise ConfigError("authorization: give either credentials or credentials_file")
    if (tls.cert_file is None) != (tls.key_file is None):
        raise ConfigError("tls_config: cert_file and key_file belong together")
    for name, text in config.headers.items():
        if name.lower() in OURS:
            raise ConfigError(f"headers: {name} is set by the exporter")
        if not re.fullmatch(r"[!#-'*+.^-z|~\w-]+", name, re.ASCII) or re.search(r"[\0\r\n]", text):
            raise ConfigError(f"headers: {name!r} is not a header, or its value has line breaks")
    _ = config.timeout_seconds, config.labels


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


def receiver(text: str) -> URL:
    """An http or https URL with a host. Raises ValueError, without showing the URL."""
    try:
        url = URL(text)
    except ValueError:
        url = URL()
    if url.scheme not in ("http", "https") or not url.host:
        raise ValueError("expected a URL such as http://prometheus:9090/api/v1/write")
    return url
