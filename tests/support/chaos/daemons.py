# SPDX-License-Identifier: Apache-2.0
"""The programs under test as real processes: started, stopped and killed, and when each was up."""

import contextlib
import subprocess
import threading
import time

import yaml

from support.chaos import rules
from support.receiver import Prometheus
from support.serving import Exporter, until

STOPS = 15.0  # seconds within which SIGTERM must end the exporter
STARTS = 60.0


class ChaosExporter(Exporter):
    """Its log is a file; `up` are the times [from, to] within which it has to answer."""

    def __init__(self, log, *arguments):
        super().__init__(None, *arguments)
        self.log_path, self.up, self.problems = log, [], []
        self.lock = threading.Lock()

    def start(self):
        with self.log_path.open("ab") as log:
            self.process = subprocess.Popen(
                self.command, env=self.environ, stderr=log, start_new_session=True
            )
        until(lambda: self.status("/-/ready") == 200, STARTS)
        self.up.append([time.time(), float("inf")])

    def stop(self):
        """SIGTERM; a process that does not end is killed, and noted."""
        self._down()
        self.process.terminate()
        try:
            if code := self.process.wait(STOPS):
                self.problems.append((time.time(), f"exit status {code} after SIGTERM"))
        except subprocess.TimeoutExpired:
            self.problems.append((time.time(), f"SIGTERM had not ended it after {STOPS:g} s"))
            self.kill()

    def crash(self):
        self._down()
        self.kill()

    def kill(self):
        self.process.kill()
        with contextlib.suppress(subprocess.TimeoutExpired):  # it waits for a hung file system
            self.process.wait(STOPS)

    def _down(self):
        if self.process.poll() is not None:
            self.problems.append((time.time(), f"ended by itself: {self.process.returncode}"))
        self.up[-1][1] = time.time()

    def seconds_up(self, start, end):
        """The longest time within these that it was up without a break."""
        return max((min(end, b) - max(start, a) for a, b in self.up), default=0.0)

    def sent(self):
        """Whether nothing waits for the receiver."""
        return self.value("primus_lens_exporter_remote_write_spool_entries") == 0


class ChaosPrometheus(Prometheus):
    """A Prometheus that forgets no out-of-order window, since it has none: the hardest receiver."""

    def __init__(self, directory):
        super().__init__(directory)
        self.lock = threading.Lock()
        self.down = []
        """The times [from, to] of its absence."""

    def crash(self, pause):
        with self.lock:
            self.down.append([time.time(), float("inf")])
            self.kill()
            time.sleep(pause)
            self.start()
            self.down[-1][1] = time.time()


class Scraper(ChaosPrometheus):
    """The one that scrapes each second and evaluates the project's alerts."""

    def __init__(self, directory, exporter, settings):
        super().__init__(directory)
        (directory / "rules.yml").write_text(rules.compressed(settings.factor))
        scrape = {
            "job_name": "exporter",
            "honor_labels": True,
            "static_configs": [{"targets": [f"127.0.0.1:{exporter.port}"]}],
        }
        config = {
            "global": {
                "scrape_interval": f"{settings.scrape:g}s",
                "scrape_timeout": f"{settings.scrape:g}s",
                "evaluation_interval": "1s",
            },
            "rule_files": [str(directory / "rules.yml")],
            "scrape_configs": [scrape],
        }
        (directory / "prometheus.yml").write_text(yaml.safe_dump(config))
        self.flags = [
            f"--query.lookback-delta={300 / settings.factor:g}s",
            "--rules.alert.for-grace-period=0s",
        ]
