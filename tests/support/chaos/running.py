# SPDX-License-Identifier: Apache-2.0
"""Plays the acts of a plan at their times, each in a thread, and asks for what is broken."""

import threading
import time

from support.chaos import promises
from support.chaos.answers import Answers
from support.chaos.finding import Finding

PATIENCE = 90.0  # seconds for an act that should be over


class Player:
    """`findings` are those of acts that failed themselves."""

    def __init__(self, world, acts):
        self.world, self.acts, self.findings = world, acts, []
        self._threads = []

    def play(self, begun):
        """Begin each act when its time has come; `begun` is called with it. Ends at the end."""
        for act in self.acts:
            time.sleep(max(0.0, self.world.start + act.at - time.time()))
            thread = threading.Thread(target=self._one, args=(act,), daemon=True)
            thread.start()
            self._threads.append(thread)
            begun(act)
        time.sleep(self.world.left)

    def end(self):
        """Wait for the acts that go on; after an interruption, end them."""
        for thread in self._threads:
            thread.join(0.1 if self.world.ended.is_set() else PATIENCE)

    def interrupt(self):
        self.world.ended.set()
        self.world.trainings.kill()
        time.sleep(1)

    def _one(self, act):
        try:
            act.play(self.world)
        except Exception as error:  # noqa: BLE001 the others go on, and the report says so
            if not self.world.ended.is_set():
                what = f"{type(error).__name__}: {error}"
                self.findings.append(
                    Finding("act failed", str(act), act.kind, 1, what, time.time())
                )


def broken(world):
    """Let everything settle, ask both Prometheus, and return all findings."""
    world.settle()
    return promises.broken(world, Answers(world))
