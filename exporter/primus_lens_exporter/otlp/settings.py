# SPDX-License-Identifier: Apache-2.0
"""Where OTLP is sent to, and where requests wait until they are acknowledged."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from primus_lens_toolkit.flags import flag, limit
from yarl import URL

from primus_lens_exporter.otlp.config import endpoint


@dataclasses.dataclass(frozen=True)
class OtlpSettings:
    """Each is a flag; without an endpoint nothing is sent."""

    otlp_endpoint: URL | None = flag(
        "--otlp.endpoint",
        "where every record is sent with its own timestamp, by OTLP over HTTP; "
        "/v1/metrics is added unless it is there",
        endpoint,
        default=None,
        metavar="URL",
    )
    otlp_config_file: Path | None = flag(
        "--otlp.config.file",
        "credentials, TLS, headers and resource attributes for it",
        Path,
        default=None,
        metavar="FILE",
    )
    otlp_spool_directory: Path | None = flag(
        "--otlp.spool-directory",
        "where requests wait that are not acknowledged yet; needed for OTLP, and may be that of "
        "remote write",
        Path,
        default=None,
        metavar="DIR",
    )
    otlp_spool_bytes: int = limit(
        "--otlp.spool-bytes",
        "most that waits there; then records wait in their files",
        1 << 30,
        "BYTES",
    )

    def __post_init__(self) -> None:
        """Raises ValueError for settings that make no sense together."""
        if self.otlp_endpoint and not self.otlp_spool_directory:
            raise ValueError("OTLP needs --otlp.spool-directory, on a disk that outlives us")
