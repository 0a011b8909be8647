# SPDX-License-Identifier: Apache-2.0
"""The settings that every HTTP server of ours has. Must not load a server library."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import NamedTuple

from primus_lens_toolkit.flags import flag, limit
from primus_lens_toolkit.logs import LogSettings


class Address(NamedTuple):
    """Where to listen; an empty host means every interface, port 0 any free one."""

    host: str
    port: int

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


def address(text: str) -> Address:
    """Parse HOST:PORT, :PORT or [IPv6]:PORT; ValueError otherwise."""
    host, colon, port = text.rpartition(":")
    if not colon or not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise ValueError(f"expected HOST:PORT with a port up to 65535, not {text!r}")
    if ":" in host and not (host.startswith("[") and host.endswith("]")):
        raise ValueError(f"write an IPv6 host in brackets, not {text!r}")
    return Address(host.strip("[]"), int(port))


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
        "--web.max-connections",
        "connections at once; for a further one, that which has been idle longest is closed",
        64,
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
