# SPDX-License-Identifier: Apache-2.0
"""From what a protocol's settings say to an outbox. Everything that can be wrong is found here."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, TypeVar

from primus_lens_toolkit.errors import CannotStart
from prometheus_client import CollectorRegistry
from yarl import URL

from primus_lens_exporter.http_client.peer import describe
from primus_lens_exporter.model.errors import ExporterError
from primus_lens_exporter.model.series_rules import SeriesRules
from primus_lens_exporter.sending.client import Client
from primus_lens_exporter.sending.config import SendingConfig
from primus_lens_exporter.sending.outbox import Outbox
from primus_lens_exporter.sending.spool import Spool
from primus_lens_exporter.sending.telemetry import SendingTelemetry
from primus_lens_exporter.sending.wire_format import WireFormat

Config = TypeVar("Config", bound=SendingConfig)


class CannotSend(ExporterError, CannotStart):
    """Sending cannot start; the text says why and what to do."""


class Destination(NamedTuple):
    """Where one protocol sends to, and where requests wait until they are acknowledged."""

    protocol: str
    """Names the telemetry and the file in the spool directory: `remote_write` or `otlp`."""

    url: URL
    config_file: Path | None
    spool_directory: Path
    spool_bytes: int

    @property
    def flags(self) -> str:
        """What its flags begin with."""
        return "--" + self.protocol.replace("_", "-")


def outbox(
    to: Destination,
    load: Callable[[Path | None], Config],
    form: Callable[[Config], WireFormat],
    rules: SeriesRules,
    registry: CollectorRegistry,
) -> Outbox:
    """An outbox that sends there. `load` reads the file, if any. Raises CannotSend."""
    try:
        flag = f"{to.flags}.config.file"
        config = load(to.config_file)
        client = Client(to.url, config)
        client.check()
        flag = f"{to.flags}.spool-directory"
        spool = Spool(to.spool_directory, to.protocol)
    except (OSError, ValueError) as error:
        raise CannotSend(f"{flag}: {describe(error)}") from None
    telemetry = SendingTelemetry(registry, to.protocol)
    return Outbox(spool, to.spool_bytes, client, form(config), telemetry, rules, config.labels)
