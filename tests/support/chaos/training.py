# SPDX-License-Identifier: Apache-2.0
"""A training process: `python -m support.chaos.training ORDERS`, in JSON.

It records by the hook's own recorder, as a rule without wandb, and keeps a log of its own
of what it has written, which no part of the product sees. A `lie` makes the log untrue in one
place: this is how the checks are checked (`lies`).
"""

import json
import os
import random
import sys
import time

from support.chaos.recorders import Hook, Wandb

REAL = time.time
HELD = 11.0  # seconds by which a line is written after the log says so, by a lie
AGAIN = 1.5
APART = 0.02  # seconds between two lines of the past


class Clock:
    """The process's clock: it stands still within a log call, so that the log has its time."""

    def __init__(self):
        self.offset, self.held = 0.0, None

    def __call__(self):
        return REAL() + self.offset if self.held is None else self.held

    def hold(self, before=0.0):
        """Let it be `before` seconds ago, in microseconds, as records have them."""
        self.held = None
        self.held = round(self() - before, 6)
        return self.held


class Log:
    """The own log, a JSON array a line; each is in the kernel when `note` returns."""

    def __init__(self, path):
        self._fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)

    def note(self, what, *more):
        os.write(self._fd, json.dumps([what, REAL(), *more]).encode() + b"\n")


def row(run_id, n, nan_from):
    """Values that no other line of the run has, and a key that only its first line has."""
    loss = 1 + random.Random(f"{run_id} {n}").random()
    loss = float("nan") if nan_from is not None and n >= nan_from else loss
    return {"n": n, "loss": loss, "accuracy": n + 0.25} | ({"once": n + 0.5} if n == 0 else {})


class Training:
    def __init__(self, orders):
        self.orders, self.clock = orders, Clock()
        time.time = self.clock
        self.log = Log(orders["log"])
        self.recorder = (
            Wandb(orders["wandb"]) if orders["wandb"] else Hook(orders["root"], orders["max_bytes"])
        )
        self.log.note("who", orders["node"], orders["local"], orders["volume"])
        self.due = time.monotonic()
        self.lying = range(orders["lie_at"], orders["lie_at"] + orders["lie_lines"])

    def lives(self):
        for each in self.orders["runs"]:
            run = self.recorder.begin(each["id"])
            self.log.note("begin", run.id)
            for n in range(each["first"], each["first"] + each["count"]):
                self.line(run, n, n - each["first"] + each["step"])
            self.finish(run)

    def line(self, run, n, step):
        before = self.orders["past"] - n
        if before <= 0:
            self.wait(1 / self.orders["rate"])
        self.clock.offset = self.orders["offsets"].get(str(n), self.clock.offset)
        told = data = row(run.id, n, self.orders["nan_from"])
        lie = self.orders["lie"] if n in self.lying else ""
        if lie == "altered":
            told = {**data, "accuracy": -1.0}
        at = self.clock.hold(max(0, before) * APART)
        if lie != "unlogged":
            self.log.note("line", n, at, step, told, run.id)
        if lie == "held":
            self.log.note("done", n)
            time.sleep(HELD)
        written = lie == "unwritten" or self.recorder.write(run, data, step)
        if lie == "doubled":
            time.sleep(AGAIN)
            self.clock.hold()
            self.recorder.write(run, data, step)
        self.clock.held = None
        if lie not in ("unlogged", "held"):
            self.log.note("done" if written else "lost", n)

    def finish(self, run):
        if self.orders["lie"] == "unfinished":
            self.log.note("finish", run.id)
            time.sleep(self.orders["idle"])
        elif self.orders["finish"]:
            self.recorder.finish(run)
            self.log.note("finish", run.id)
        else:
            time.sleep(self.orders["idle"])

    def wait(self, seconds):
        """Until the next line is due; a process that was stopped does not catch up."""
        self.due = max(self.due + seconds, time.monotonic())
        time.sleep(max(0.0, self.due - time.monotonic()))


if __name__ == "__main__":
    Training(json.loads(sys.argv[1])).lives()
