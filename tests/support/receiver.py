# SPDX-License-Identifier: Apache-2.0
"""A real Prometheus that receives remote write, and can be killed and started again."""

import base64
import json
import shutil
import ssl
import subprocess
import urllib.error
import urllib.parse
import urllib.request

import pytest

from support.serving import free_port, until

USER, PASSWORD = "writer", "secret"


class Prometheus:
    """`web_config`: a web configuration file, for TLS and passwords."""

    def __init__(self, directory, web_config=None, ca=None):
        self.program = shutil.which("prometheus") or pytest.skip("Prometheus is not installed")
        self.directory = directory
        directory.mkdir(exist_ok=True)
        (directory / "prometheus.yml").write_text("{}")
        self.port = free_port()
        self.url = f"{'https' if ca else 'http'}://localhost:{self.port}"
        self.write_url = f"{self.url}/api/v1/write"
        self.flags = [f"--web.config.file={web_config}"] if web_config else []
        self.ssl = ssl.create_default_context(cafile=ca) if ca else None
        self.process = None

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.kill()

    def start(self):
        with (self.directory / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [
                    self.program,
                    f"--config.file={self.directory / 'prometheus.yml'}",
                    f"--storage.tsdb.path={self.directory / 'data'}",
                    "--storage.tsdb.retention.time=50y",
                    "--web.enable-remote-write-receiver",
                    f"--web.listen-address=localhost:{self.port}",
                    *self.flags,
                ],
                stderr=log,
            )
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

    def count(self, selector, at):
        """How many samples each series has."""
        return {labels: len(values) for labels, values in self.samples(selector, at).items()}
