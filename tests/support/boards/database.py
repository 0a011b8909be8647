# SPDX-License-Identifier: Apache-2.0
"""A real Prometheus with a past: what was scraped and recorded at earlier times is written to
it by remote write, and then it is started again to scrape and evaluate by itself.
"""

import json
import struct
import urllib.error
import urllib.request

from primus_lens_exporter.model.sample import NEVER, Series
from primus_lens_exporter.remote_write import write_request
from primus_lens_exporter.sending.wire_format import REQUEST_SAMPLES

from support.receiver import Prometheus
from support.serving import until

# What Prometheus writes where a series ends (model/value/value.go).
(STALE,) = struct.unpack("<d", struct.pack("<Q", 0x7FF0000000000002))


class Database(Prometheus):
    """`write` is for the past; `begin` ends it."""

    def __init__(self, directory):
        super().__init__(directory)
        self.series = {}

    def begin(self, config):
        """From now on it scrapes and evaluates, as after any restart."""
        self.process.terminate()
        self.process.wait(20)
        (self.directory / "prometheus.yml").write_text(json.dumps(config))
        # Or alerts that were due would wait for another ten minutes.
        self.flags = ["--rules.alert.for-grace-period=0s"]
        self.start()

    def freeze(self):
        """It only answers any more."""
        (self.directory / "prometheus.yml").write_text("{}")
        self.process.send_signal(1)  # SIGHUP
        until(lambda: not json.loads(self.get("/api/v1/rules"))["data"]["groups"])

    def write(self, at, samples):
        """Samples of one time: {labels, of which `__name__` is one: value}."""
        taken = [
            (self._series(labels), round(at * 1000), value) for labels, value in samples.items()
        ]
        for start in range(0, len(taken), REQUEST_SAMPLES * 5):
            self._post(write_request.encode(taken[start : start + REQUEST_SAMPLES * 5]))

    def _series(self, labels):
        if labels not in self.series:
            named = dict(labels)
            known = write_request.identify(named.pop("__name__"), tuple(named.items()))
            self.series[labels] = Series(known, NEVER)
        return self.series[labels]

    def _post(self, body):
        request = urllib.request.Request(self.write_url, body, write_request.HEADERS)
        with urllib.request.urlopen(request, timeout=60) as answer:
            assert answer.status == 204

    def query(self, expression, at):
        """[(labels, value), …] at one time."""
        result = self._ask("query", query=expression, time=at)["result"]
        return [(each["metric"], float(each["value"][1])) for each in result]

    def query_range(self, expression, start, end, step):
        """[(labels, [(time, value), …]), …]."""
        result = self._ask("query_range", query=expression, start=start, end=end, step=step)[
            "result"
        ]
        return [
            (each["metric"], [(at, float(value)) for at, value in each["values"]])
            for each in result
        ]

    def label_values(self, label, start, end, selector=None):
        match = {"match[]": selector} if selector else {}
        return self._ask(f"label/{label}/values", start=start, end=end, **match)

    def _ask(self, path, **parameters):
        """Raises AssertionError with what Prometheus has to say of the query."""
        try:
            answer = json.loads(self.get(f"/api/v1/{path}", **parameters))
        except urllib.error.HTTPError as error:
            with error:
                raise AssertionError(f"{parameters}: {error.read().decode()}") from None
        return answer["data"]
