# SPDX-License-Identifier: Apache-2.0
"""From the operator's settings to an outbox. Everything that can be wrong is found here."""

from __future__ import annotations

from primus_lens_toolkit.errors import CannotStart
from prometheus_client import CollectorRegistry

from primus_lens_exporter.http_client.peer import describe
from primus_lens_exporter.model.errors import ExporterError
from primus_lens_exporter.model.series_rules import SeriesRules
from primus_lens_exporter.remote_write.client import Client
from primus_lens_exporter.remote_write.config import Config, load
from primus_lens_exporter.remote_write.outbox import Outbox
from primus_lens_exporter.remote_write.settings import RemoteWriteSettings
from primus_lens_exporter.remote_write.spool import Spool
from primus_lens_exporter.remote_write.telemetry import RemoteWriteTelemetry


class CannotSend(ExporterError, CannotStart):
    """Remote write cannot start; the text says why and what to do."""


def outbox(
    settings: RemoteWriteSettings, rules: SeriesRules, registry: CollectorRegistry
) -> Outbox:
    """For settings that name a URL. Raises CannotSend."""
    url, directory = settings.remote_write_url, settings.remote_write_spool_directory
    assert url is not None
    assert directory is not None
    file = settings.remote_write_config_file
    try:
        flag = "--remote-write.config.file"
        config = load(file) if file else Config()
        client = Client(url, config)
        client.check()
        flag = "--remote-write.spool-directory"
        spool = Spool(directory)
    except (OSError, ValueError) as error:
        raise CannotSend(f"{flag}: {describe(error)}") from None
    limit, telemetry = settings.remote_write_spool_bytes, RemoteWriteTelemetry(registry)
    return Outbox(spool, limit, client, telemetry, rules, config.labels)
