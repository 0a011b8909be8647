# SPDX-License-Identifier: Apache-2.0
"""Reading series: from the exporter's page, or by PromQL from a Prometheus that scraped it."""

from __future__ import annotations

import json
import urllib.parse
from pathlib import Path
from typing import NamedTuple

from prometheus_client.parser import text_string_to_metric_families

from primus_lens_demo.processes import fetch

SCRAPE_CONFIG = """\
global:
  scrape_interval: 1s
scrape_configs:
  - job_name: training
    honor_labels: true
    static_configs:
      - targets: ["{target}"]
"""


class Series(NamedTuple):
    """One series and its newest value."""

    labels: dict[str, str]
    value: float


def on_page(exporter: str, name: str) -> list[Series]:
    """All series of one name on the exporter's page. Raises OSError."""
    families = text_string_to_metric_families(fetch(exporter + "/metrics").decode())
    samples = [sample for family in families for sample in family.samples]
    return [Series(sample.labels, sample.value) for sample in samples if sample.name == name]


def query(prometheus: str, promql: str) -> list[Series]:
    """The instant vector that Prometheus answers. Raises OSError."""
    question = urllib.parse.urlencode({"query": promql})
    answer = json.loads(fetch(f"{prometheus}/api/v1/query?{question}"))
    vector = answer["data"]["result"]
    return [Series(each["metric"], float(each["value"][1])) for each in vector]


def prometheus_command(program: str, directory: Path, exporter_port: int, port: int) -> list[str]:
    """The command line of a Prometheus that scrapes the exporter every second."""
    config = directory / "prometheus.yml"
    config.write_text(SCRAPE_CONFIG.format(target=f"127.0.0.1:{exporter_port}"))
    return [
        program,
        f"--config.file={config}",
        f"--storage.tsdb.path={directory / 'prometheus'}",
        f"--web.listen-address=127.0.0.1:{port}",
    ]
