# SPDX-License-Identifier: Apache-2.0
"""The node on which a chaos run takes place: volumes, programs, trainings, and what was done."""

import contextlib
import itertools
import json
import threading
import time
from typing import NamedTuple

from support.chaos.daemons import ChaosExporter, ChaosPrometheus, Scraper
from support.chaos.delays import Delays
from support.chaos.launcher import Trainings
from support.chaos.oracle import Oracle
from support.chaos.probe import Probe
from support.fuse import FaultyMount
from support.hostile_hook.places import tmpfs

SMALL_DISK = 1 << 20
SETTLE = 60.0  # seconds that remote write has at the end


class Cause(NamedTuple):
    """An alert that is right: a reason that an act has made."""

    alerts: frozenset
    run_id: str | None
    start: float
    end: float


class World:
    """Use as a context; `volumes` are those that the acts need beside `records`."""

    def __init__(self, directory, settings, seconds, volumes=()):
        self.directory, self.settings, self.seconds = directory, settings, seconds
        self.volumes = ("records", *volumes)
        self.oracle, self.causes = Oracle(), []
        self.trainings = Trainings(self.path("logs"))
        self.copies, self.removed, self.hangs = [], [], []
        self.delays = Delays(settings, self.hangs)
        self.ended = threading.Event()
        self._nodes = itertools.count()
        self.disk_lock, self.hang_lock = threading.Lock(), threading.Lock()

    def __enter__(self):
        with contextlib.ExitStack() as stack:
            for name in ("records", "logs", "outside"):
                self.path(name).mkdir()
            self._mount(stack)
            flags = [flag for v in self.volumes for flag in ("--records.path", self.path(v))]
            self.receiver = stack.enter_context(ChaosPrometheus(self.directory / "receiver"))
            flags += ["--series.grace-seconds", str(self.settings.grace)]
            flags += ["--limits.series-per-pod", str(self.settings.series)]
            flags += ["--remote-write.url", self.receiver.write_url]
            flags += ["--remote-write.spool-directory", self.directory / "spool"]
            self.exporter = ChaosExporter(self.directory / "exporter.log", *flags)
            self.scraper = Scraper(self.directory / "scraper", self.exporter, self.settings)
            stack.enter_context(self.scraper)
            stack.callback(self._end_processes)
            self.exporter.start()
            self.probe = stack.enter_context(Probe(self.exporter.port))
            self.start, self.deadline = time.time(), time.time() + self.seconds
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_):
        self._stack.close()

    def path(self, volume):
        return self.directory / volume

    def _mount(self, stack):
        if "full" in self.volumes:
            self.path("full").mkdir()
            stack.enter_context(tmpfs(self.path("full"), f"size={SMALL_DISK},mode=777"))
        if "hung" in self.volumes:
            mount = FaultyMount(self.path("hung"), self.directory / "below")
            self.mount = stack.enter_context(mount)

    def _end_processes(self):
        self.trainings.kill()
        if "hung" in self.volumes:
            self.mount.thaw()
        self.exporter.kill()

    def node(self):
        """The number of a node that nothing has been written to."""
        return next(self._nodes)

    @property
    def left(self):
        return max(0.0, self.deadline - time.time())

    def sleep(self, seconds):
        """Sleep, or less where the run is over."""
        self.ended.wait(max(0.0, seconds))

    def train(self, node, runs, *, local=0, volume="records", root=None, **orders):
        """Start a training; see `Trainings.start`."""
        root = root or self.path(volume)
        return self.trainings.start(root, runs, node=node, local=local, volume=volume, **orders)

    def rank(self, node, local=0, volume="records"):
        return self.path(volume) / f"node_{node}" / f"rank_{local}"

    def numbers(self, directory):
        """The numbers of the lines in a directory's files, by run."""
        found = {}
        for path in directory.glob("wandb_metrics*.jsonl"):
            for line in path.read_bytes().split(b"\n")[:-1]:
                record = json.loads(line)
                found.setdefault(record["run"], set()).add(record["data"]["n"])
        return found

    def cause(self, run_id, *alerts, seconds=3600.0, start=None):
        """These alerts of the run are right for so long; None: of whatever they are."""
        start = time.time() if start is None else start
        self.causes.append(Cause(frozenset(alerts), run_id, start, start + seconds))

    def settle(self):
        """Wait until all that will come has come: requests, the end of series, alerts."""
        end = time.time() + SETTLE
        time.sleep(self.settings.lag + 1)
        while time.time() < end and not self.exporter.sent():
            time.sleep(0.5)
        self.delays.paused = self.probe.paused
        time.sleep(self.settings.grace + self.delays.lag)
        self.read_logs()

    def read_logs(self):
        for log in self.trainings.logs():
            self.oracle.read(log)
        for make in self.copies:
            make()
        self._forgive_removed()

    def _forgive_removed(self):
        """Lines of removed files that the exporter had no time for need not have been sent."""
        for who, numbers, at in self.removed:
            for line in self.oracle.lives[who].lines:
                if line.n in numbers and line.done != float("inf"):
                    line.needed &= self.exporter.seconds_up(line.done, at) >= self.settings.lag
