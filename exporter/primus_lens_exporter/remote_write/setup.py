# SPDX-License-Identifier: Apache-2.0
"""From the operator's settings to an outbox. Everything that can be wrong is found here."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from primus_lens_toolkit.errors import CannotStart
from prometheus_client import CollectorRegistry
from yarl import URL

from primus_lens_exporter.http_peer import describe
from primus_lens_exporter.remote_write import config
from primus_lens_exporter.remote_write.client import Client
from primus_lens_exporter.remote_write.config import Config
from primus_lens_exporter.remote_write.outbox import Outbox
from primus_lens_exporter.remote_write.spool import Spool
from primus_lens_exporter.remote_write.telemetry import RemoteWriteTelemetry


class CannotSend(CannotStart):
    """Remote write cannot start; the text says why and what to do."""


def outbox(
    url: URL,
    config_file: Path | None,
    spool_directory: Path,
    spool_bytes: int,
    registry: CollectorRegistry,
    label_bytes: int,
    allowed: Callable[[str], bool],
) -> Outbox:
    """`allowed`: which keys become series. Raises CannotSend."""
    try:
        settings = config.load(config_file) if config_file else Config()
    except ValueError as error:
        raise CannotSend(f"--remote-write.config.file: {error}") from None
    client = Client(url, settings)
    try:
        client.check()
    except (OSError, ValueError) as error:
        raise CannotSend(f"--remote-write.config.file: {describe(error)}") from None
    try:
        spool = Spool(spool_directory)
    except ValueError as error:
        raise CannotSend(f"--remote-write.spool-directory: {error}") from None
    telemetry = RemoteWriteTelemetry(registry)
    return Outbox(spool, spool_bytes, client, telemetry, label_bytes, settings.labels, allowed)
