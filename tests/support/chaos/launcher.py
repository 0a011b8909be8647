# SPDX-License-Identifier: Apache-2.0
"""Starts trainings: what each is told, its process, and the log that it keeps of itself."""

import itertools
import json
import signal
import subprocess
import sys
import time

from primus_lens_hook import contract

from support.environment import clean_environ
from support.repository import ROOT
from support.training import QUICK

RATE = 10.0  # lines a second
# Of a training, unless an act says otherwise; `training` reads them.
DEFAULTS = {
    "wandb": "",  # a directory: wandb itself logs, and has its files there
    "max_bytes": 64 << 20,
    "rate": RATE,
    "past": 0,  # lines that are written at once, as if they had been logged earlier
    "offsets": {},  # of the clock, in seconds, by the number of the line from which on it has it
    "nan_from": None,  # the number of the line from which on the loss is NaN
    "finish": True,
    "idle": 3600,  # seconds that a process goes on for which does not finish its run
    "lie": "",
    "lie_at": -1,  # the number of the first line of the lie
    "lie_lines": 1,
}
RUN = {"first": 0, "step": 0, "count": 0}


class Training:
    """One process that logs."""

    def __init__(self, process, log):
        self.process, self.log = process, log

    def wait(self):
        if code := self.process.wait():
            raise AssertionError(f"a training ended with {code}: {self.log}")

    def kill(self):
        self.process.kill()
        self.process.wait()

    def pause(self, seconds):
        self.process.send_signal(signal.SIGSTOP)
        time.sleep(seconds)
        self.process.send_signal(signal.SIGCONT)


class Trainings:
    """All of one world, whose logs and errors are in `directory`."""

    def __init__(self, directory):
        self._directory = directory
        self._numbers = itertools.count()
        self.all = []

    def start(self, root, runs, **orders):
        """`runs` are (id, lines), or what differs from `RUN`; `orders` what does from `DEFAULTS`,
        and node, local and volume.
        """
        log = self._directory / f"{next(self._numbers)}.jsonl"
        orders = {**DEFAULTS, **orders, "root": str(root), "log": str(log)}
        orders["runs"] = [
            RUN | (each if isinstance(each, dict) else {"id": each[0], "count": each[1]})
            for each in runs
        ]
        with (self._directory / "errors").open("ab") as errors:
            process = subprocess.Popen(
                [sys.executable, "-m", "support.chaos.training", json.dumps(orders)],
                cwd=ROOT / "tests",
                env=_environ(orders),
                stderr=errors,
                start_new_session=True,
            )
        self.all.append(Training(process, log))
        return self.all[-1]

    def kill(self):
        for each in self.all:
            each.process.kill()

    def logs(self):
        return [each.log for each in self.all if each.log.exists()]


def _environ(orders):
    return {
        **clean_environ(),
        **QUICK,
        "WANDB_SILENT": "true",
        contract.ENV_OUTPUT_PATH: orders["root"],
        "NODE_RANK": str(orders["node"]),
        "LOCAL_RANK": str(orders["local"]),
    }
