# SPDX-License-Identifier: Apache-2.0
"""`--otlp.config.file`: how to reach the receiver, in the same words as for remote write.

No message may show a value: most of them are secrets.
"""

from __future__ import annotations

from pathlib import Path

import msgspec
from yarl import URL

from primus_lens_exporter.http_client import config as http_config
from primus_lens_exporter.sending.config import SendingConfig

PATH = "/v1/metrics"  # below the endpoint: OTLP specification, OTLP/HTTP Request
UNSUPPORTED = {
    "url": "give it as --otlp.endpoint",
    "endpoint": "give it as --otlp.endpoint",
    "queue_config": "the spool takes its place",
}


class OtlpConfig(SendingConfig, frozen=True, forbid_unknown_fields=True):
    """The whole file."""

    resource_attributes: dict[str, str] = msgspec.field(default_factory=dict)
    """Of the exporter, for receivers that sort by them, such as `service.name`."""

    def check(self) -> None:
        """Raises ValueError for values that cannot be used."""
        super().check()
        if "" in self.resource_attributes:
            raise ValueError("resource_attributes: a name is empty")


def load(path: Path | None) -> OtlpConfig:
    """Read and check the file, if there is one. Raises ConfigError."""
    return http_config.load(path, OtlpConfig, UNSUPPORTED) if path else OtlpConfig()


def endpoint(text: str) -> URL:
    """The URL that is posted to: `/v1/metrics` is added unless it is there. Raises ValueError."""
    url = http_config.server_url(text, "http://collector:4318")
    path = url.raw_path.rstrip("/")
    return url.with_path(
        path if path.endswith(PATH) else path + PATH, encoded=True, keep_query=True
    )
