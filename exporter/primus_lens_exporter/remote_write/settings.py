# SPDX-License-Identifier: Apache-2.0
"""Where remote write sends to, and where requests wait until they are acknowledged."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from primus_lens_toolkit.flags import flag, limit, one_of
from yarl import URL

from primus_lens_exporter.remote_write.config import receiver
from primus_lens_exporter.remote_write.protocol import V1, V2


@dataclasses.dataclass(frozen=True)
class RemoteWriteSettings:
    """Each is a flag; without a URL nothing is sent."""

    remote_write_url: URL | None = flag(
        "--remote-write.url",
        "where every record is sent with its own timestamp, by Prometheus' remote write",
        receiver,
        default=None,
        metavar="URL",
    )
    remote_write_protocol: str = flag(
        "--remote-write.protocol",
        "1.0 or 2.0; 2.0 falls back to 1.0 where the receiver does not know it",
        one_of(V1, V2),
        default=V1,
        metavar="VERSION",
    )
    remote_write_config_file: Path | None = flag(
        "--remote-write.config.file",
        "credentials, TLS and headers for it, in the words of Prometheus' remote_write",
        Path,
        default=None,
        metavar="FILE",
    )
    remote_write_spool_directory: Path | None = flag(
        "--remote-write.spool-directory",
        "where requests wait that are not acknowledged yet; needed for remote write",
        Path,
        default=None,
        metavar="DIR",
    )
    remote_write_spool_bytes: int = limit(
        "--remote-write.spool-bytes",
        "most that waits there; then records wait in their files",
        1 << 30,
        "BYTES",
    )

    def __post_init__(self) -> None:
        """Raises ValueError for settings that make no sense together."""
        if self.remote_write_url and not self.remote_write_spool_directory:
            raise ValueError(
                "remote write needs --remote-write.spool-directory, on a disk that outlives us"
            )
