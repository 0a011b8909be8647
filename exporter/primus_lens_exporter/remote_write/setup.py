# SPDX-License-Identifier: Apache-2.0
"""From the settings of remote write to an outbox."""

from __future__ import annotations

from prometheus_client import CollectorRegistry

from primus_lens_exporter.model.series_rules import SeriesRules
from primus_lens_exporter.remote_write.config import load
from primus_lens_exporter.remote_write.protocol import RemoteWrite
from primus_lens_exporter.remote_write.settings import RemoteWriteSettings
from primus_lens_exporter.sending import setup
from primus_lens_exporter.sending.outbox import Outbox
from primus_lens_exporter.sending.setup import Destination
from primus_lens_exporter.sending.telemetry import REMOTE_WRITE


def outbox(
    settings: RemoteWriteSettings, rules: SeriesRules, registry: CollectorRegistry
) -> Outbox | None:
    """None without a URL. Raises CannotSend."""
    url, directory = settings.remote_write_url, settings.remote_write_spool_directory
    if url is None or directory is None:
        return None
    file, limit = settings.remote_write_config_file, settings.remote_write_spool_bytes
    to = Destination(REMOTE_WRITE, url, file, directory, limit)
    form = RemoteWrite(settings.remote_write_protocol)
    return setup.outbox(to, load, lambda _: form, rules, registry)
