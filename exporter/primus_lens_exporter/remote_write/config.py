# SPDX-License-Identifier: Apache-2.0
"""`--remote-write.config.file`: how to reach the receiver, in the words of Prometheus.

No message may show a value: most of them are secrets.
"""

from __future__ import annotations

from pathlib import Path

from yarl import URL

from primus_lens_exporter.http_client import config as http_config
from primus_lens_exporter.sending.config import SendingConfig

UNSUPPORTED = {
    "write_relabel_configs": "choose keys where they are logged, or relabel in the receiver",
    "url": "give it as --remote-write.url",
    "protobuf_message": "give it as --remote-write.protocol",
    "send_exemplars": "there are none",
    "queue_config": "the spool takes its place",
}


def load(path: Path | None) -> SendingConfig:
    """Read and check the file, if there is one. Raises ConfigError."""
    return http_config.load(path, SendingConfig, UNSUPPORTED) if path else SendingConfig()


def receiver(text: str) -> URL:
    """The URL that is written to. Raises ValueError."""
    return http_config.server_url(text, "http://prometheus:9090/api/v1/write")
