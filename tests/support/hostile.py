# SPDX-License-Identifier: Apache-2.0
"""A hostile pod and an honest one on the same node, and what must hold whatever the first does."""

import contextlib
import re
import threading
import time

from support.api_server import ApiServer
from support.kubelet import Kubelet, rank, series
from support.serving import Exporter, record, until

FILE = "wandb_metrics.jsonl"
SECRET = "s3cr3t"
GROWTH = 64 << 20  # of the exporter's memory, whatever a pod does
TICK_SECONDS = 5.0  # far more than a tick may take, on a machine that is busy with other things


class Node:
    """Both pods, their exporter, and a secret elsewhere on the node.

    On leaving it: each of the honest pod's lines was counted, and nothing of the secret shows.
    """

    def __init__(self, path, *flags, wrapper=(), logs=True):
        self.path = path
        self.flags = flags
        self.wrapper = wrapper
        self.logs = logs
        self.written = 0
        self.cleanup = contextlib.ExitStack()
        self.ended = threading.Event()

    def __enter__(self):
        self.api = self.cleanup.enter_context(ApiServer())
        self.kubelet = Kubelet(self.path / "kubelet", self.api)
        self.secret = self._secret()
        self.evil, self.honest = self.kubelet.start("evil"), self.kubelet.start("honest")
        flags = "--records.kubelet-root", self.kubelet.root, "--kubernetes.node-name", "n1"
        environ = {"KUBECONFIG": str(self.api.kubeconfig(self.path))}
        self.exporter = Exporter(None, *flags, *self.flags, environ=environ, wrapper=self.wrapper)
        self.exporter.__enter__()
        self.writer = threading.Thread(target=self._write)
        self.writer.start()
        until(lambda: self.counted("honest"))
        self.rss = self.exporter.rss
        return self

    def __exit__(self, kind, *_):
        self.ended.set()
        self.writer.join()
        try:
            if kind is None:
                self._holds()
        finally:
            self.cleanup.close()
            self.exporter.__exit__()
        self._log_holds()

    def act(self, action, seconds=3.0):
        """Repeat an action of the hostile pod as fast as it goes; returns how often."""
        until_then, times = time.monotonic() + seconds, 0
        while time.monotonic() < until_then:
            action(times)
            times += 1
        return times

    def counted(self, pod, run="r"):
        return self.exporter.value(series("records_total", pod, run))

    def goes_on(self):
        """What the honest pod writes from now on is counted soon."""
        now = self.written
        until(lambda: self.counted("honest") > now)
        assert self.exporter.value("primus_lens_exporter_tick_duration_seconds") < TICK_SECONDS

    def refuses(self, reason):
        """Some file or directory of the hostile pod was refused."""
        name = f'primus_lens_exporter_refused_files_total{{reason="{reason}"}}'
        until(lambda: self.exporter.value(name))

    def limits(self, limit):
        until(lambda: self.exporter.value(f'primus_lens_exporter_limited_total{{limit="{limit}"}}'))

    def drops(self, reason):
        name = f'primus_lens_exporter_dropped_series_total{{reason="{reason}"}}'
        until(lambda: self.exporter.value(name))

    def _write(self):
        with (rank(self.honest) / FILE).open("ab", buffering=0) as file:
            while not self.ended.wait(0.02):
                file.write(record(step=self.written, loss=self.written))
                self.written += 1

    def _secret(self):
        """A directory like a pod's, which is none of the hostile pod's."""
        directory = self.path / "elsewhere"
        (rank(directory) / FILE).write_bytes(record(run=SECRET, **{SECRET: 1}))
        (rank(directory) / "wandb_runs.json").write_text(f'{{"r": {{"name": "{SECRET}"}}}}')
        return directory

    def _holds(self):
        self.exporter.wait(series("records_total", "honest"), self.written)
        page = self.exporter.page()
        assert SECRET not in page
        assert "\nprimus_lens_exporter_faults_total 0.0\n" in page
        assert self.exporter.rss - self.rss < GROWTH

    def _log_holds(self):
        log = self.exporter.log
        assert SECRET not in log
        assert "pod=honest" not in log
        warned = re.findall(r"reason=(\w+).* pod=evil", log)
        assert len(warned) == len(set(warned))
        assert len(log.splitlines()) < 100
