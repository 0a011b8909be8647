# SPDX-License-Identifier: Apache-2.0
"""Real receivers, which can be killed and started again: Prometheus 2 and 3, VictoriaMetrics.

`make receivers` brings those that the machine's own packages are too old for.
"""

import base64
import json
import math
import shutil
import ssl
import subprocess
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

import pytest

from support.serving import free_port, until

USER, PASSWORD = "writer", "secret"


BROUGHT = Path.home() / ".cache" / "primus-lens" / "receivers"


def brought(name):
    """The path of a program that `make receivers` brings."""
    path = BROUGHT / name
    return str(path) if path.exists() else pytest.skip(f"{name} is not there: `make receivers`")


class Prometheus:
    """`web_config`: a web configuration file, for TLS and passwords."""

    def __init__(self, directory, web_config=None, ca=None):
        self.program = self.find()
        self.directory = directory
        directory.mkdir(exist_ok=True)
        (directory / "prometheus.yml").write_text("{}")
        self.port = free_port()
        self.url = f"{'https' if ca else 'http'}://localhost:{self.port}"
        self.write_url = f"{self.url}/api/v1/write"
        self.otlp_url = f"{self.url}/opentelemetry"
        self.flags = [f"--web.config.file={web_config}"] if web_config else []
        self.ssl = ssl.create_default_context(cafile=ca) if ca else None
        self.process = None

    def find(self):
        return shutil.which("prometheus") or pytest.skip("Prometheus is not installed")

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.kill()

    @property
    def command(self):
        return [
            self.program,
            f"--config.file={self.directory / 'prometheus.yml'}",
            f"--storage.tsdb.path={self.directory / 'data'}",
            "--storage.tsdb.retention.time=50y",
            "--web.enable-remote-write-receiver",
            f"--web.listen-address=localhost:{self.port}",
            *self.flags,
        ]

    def start(self):
        with (self.directory / "log").open("ab") as log:
            # A session of its own: Ctrl-C is for the command that has started it.
            self.process = subprocess.Popen(self.command, stderr=log, start_new_session=True)
        until(self._ready, 60)

    def kill(self):
        self.process.kill()
        self.process.wait()

    def _ready(self):
        assert self.process.poll() is None, (self.directory / "log").read_text()
        try:
            return bool(self.get("/-/ready"))
        except urllib.error.HTTPError as error:
            error.close()
        except OSError:
            return False

    def get(self, path, **parameters):
        request = urllib.request.Request(f"{self.url}{path}?{urllib.parse.urlencode(parameters)}")
        pair = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        request.add_header("Authorization", f"Basic {pair}")
        with urllib.request.urlopen(request, timeout=60, context=self.ssl) as answer:
            return answer.read()

    def samples(self, selector, at):
        """All samples of the 20 years before `at`: {labels: [(milliseconds, text), …]}."""
        answer = json.loads(self.get("/api/v1/query", query=f"{selector}[20y]", time=at))
        return {
            tuple(sorted(series["metric"].items())): [
                (round(time * 1000), value) for time, value in series["values"]
            ]
            for series in answer["data"]["result"]
        }

    def query(self, expression, at):
        """What it answers for one moment: [(labels, text), …]."""
        answer = json.loads(self.get("/api/v1/query", query=expression, time=at))
        return [(each["metric"], each["value"][1]) for each in answer["data"]["result"]]

    def same(self, value, other):
        """Whether it makes the one of the other."""
        return value == other

    def count(self, selector, at):
        """How many samples each series has."""
        return {labels: len(values) for labels, values in self.samples(selector, at).items()}


class Prometheus3(Prometheus):
    """Takes remote write 2.0 too. Debian's is built without the receiver of OTLP."""

    def find(self):
        return brought("prometheus")

    @property
    def command(self):
        messages = "prometheus.WriteRequest,io.prometheus.write.v2.Request"
        flag = "--web.remote-write-receiver.accepted-protobuf-messages"
        return [*super().command, *(f"{flag}={each}" for each in messages.split(","))]


class VictoriaMetrics(Prometheus):
    """Answers Prometheus' queries; takes remote write 1.0 and OTLP."""

    def find(self):
        return brought("victoria-metrics")

    @property
    def command(self):
        return [
            self.program,
            f"-storageDataPath={self.directory / 'data'}",
            "-retentionPeriod=50y",
            "-memory.allowedBytes=256MB",
            "-dedup.minScrapeInterval=1ms",  # or what is sent twice is there twice
            f"-httpListenAddr=localhost:{self.port}",
            *self.flags,
        ]

    def same(self, value, other):
        """Its decimals have some ten digits."""
        return math.isclose(value, other, rel_tol=1e-9)

    def samples(self, selector, at):
        """Those that are there; it has no NaN."""
        self.get("/internal/force_flush")
        lines = self.get("/api/v1/export", **{"match[]": selector}).splitlines()
        return {
            tuple(sorted(series["metric"].items())): [
                (time, str(float(value)))
                for time, value in zip(series["timestamps"], series["values"], strict=True)
            ]
            for series in map(json.loads, lines)
        }
