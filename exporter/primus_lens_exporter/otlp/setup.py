# SPDX-License-Identifier: Apache-2.0
"""From the settings of OTLP to an outbox."""

from __future__ import annotations

from prometheus_client import CollectorRegistry

from primus_lens_exporter.model.series_rules import SeriesRules
from primus_lens_exporter.otlp.config import OtlpConfig, load
from primus_lens_exporter.otlp.protocol import Otlp
from primus_lens_exporter.otlp.settings import OtlpSettings
from primus_lens_exporter.sending import setup
from primus_lens_exporter.sending.outbox import Outbox
from primus_lens_exporter.sending.setup import Destination
from primus_lens_exporter.sending.telemetry import OTLP


def outbox(
    settings: OtlpSettings, rules: SeriesRules, registry: CollectorRegistry
) -> Outbox | None:
    """None without an endpoint. Raises CannotSend."""
    url, directory = settings.otlp_endpoint, settings.otlp_spool_directory
    if url is None or directory is None:
        return None
    file, limit = settings.otlp_config_file, settings.otlp_spool_bytes
    to = Destination(OTLP, url, file, directory, limit)

    def form(config: OtlpConfig) -> Otlp:
        return Otlp(config.resource_attributes)

    return setup.outbox(to, load, form, rules, registry)
