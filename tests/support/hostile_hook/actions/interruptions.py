# SPDX-License-Identifier: Apache-2.0
"""Code that comes in the middle of a log call: handlers, tracers, finalizers, no stack left."""

import gc
import os
import random
import signal
import sys

from support.hostile_hook.actions.notes import LOOSE, NUMBERS, note
from support.hostile_hook.actions.rows import RUN, finish, log_noted

__all__ = [
    "deep",
    "finalized",
    "finishes_on_sigterm",
    "handler_logs",
    "preempted",
    "signalled",
    "traced",
]


class Preempted(Exception):
    """The user's own."""


class Ring:
    """Raises once when it is told to, and counts whether the training hears of it."""

    def __init__(self):
        self.armed, self.raised, self.caught = False, 0, 0

    def __call__(self, *_):
        if self.armed:
            self.armed = False
            self.raised += 1
            raise Preempted

    def during(self, call, *arguments):
        try:
            self.armed = True
            call(*arguments)
            self.armed = False
        except Preempted:
            self.caught += 1
        finally:
            self.armed = False

    def tell(self, numbers):
        note("swallowed", self.raised - self.caught)
        for number in numbers:
            note("logged", "", number, loose=True)


def preempted(seed, count):
    """A timer raises at random moments of many log calls."""
    dice, ring, returned = random.Random(seed), Ring(), []
    signal.signal(signal.SIGALRM, ring)
    gc.disable()  # what a finalizer raises, Python swallows
    for _ in range(count):
        signal.setitimer(signal.ITIMER_REAL, dice.uniform(2e-5, 4e-4))
        ring.during(log_some, returned, 5)
        signal.setitimer(signal.ITIMER_REAL, 0)
    gc.enable()
    ring.tell(returned)


def log_some(returned, count):
    for _ in range(count):
        number = next(LOOSE[0])
        RUN[0].log({"n": number, "x": 0.5})
        returned.append(number)


def traced(lines, how, only=""):
    """One call whose so-many-th line of Python raises, or gets a signal whose handler raises.

    `only` in files with this in their names.
    """
    ring, returned, left = Ring(), [], [lines]
    signal.signal(signal.SIGUSR1, ring)

    def tracer(frame, event, _):
        if only not in frame.f_code.co_filename:
            return tracer
        left[0] -= event == "line"
        if not left[0]:
            sys.settrace(None)
            ring() if how == "trace" else os.kill(os.getpid(), signal.SIGUSR1)
        return tracer

    sys.settrace(tracer)
    try:
        ring.during(log_some, returned, 1)
    finally:
        sys.settrace(None)
    ring.tell(returned)


def handler_logs(count):
    """A handler of SIGUSR1 that logs; sent between calls."""

    def handler(*_):
        number = next(LOOSE[0])
        log_noted({"n": number}, number, who_is_loose=True)

    signal.signal(signal.SIGUSR1, handler)
    for _ in range(count):
        os.kill(os.getpid(), signal.SIGUSR1)


def signalled(lines, only):
    """The same, sent at the so-many-th line of a call."""
    left = [lines]

    def tracer(frame, event, _):
        left[0] -= event == "line" and only in frame.f_code.co_filename
        if not left[0]:
            sys.settrace(None)
            os.kill(os.getpid(), signal.SIGUSR1)
        return tracer

    handler_logs(0)
    returned = []
    sys.settrace(tracer)
    try:
        log_some(returned, 1)
    finally:
        sys.settrace(None)
    Ring().tell(returned)


def finishes_on_sigterm():
    """A preemption that ends the run and the process."""
    signal.signal(signal.SIGTERM, lambda *_: (finish(), sys.exit(143)))


class Finalized:
    """Part of a cycle: collected whenever the collector runs, within any line."""

    def __init__(self):
        self.self = self

    def __del__(self):
        RUN[0].log({"n": next(LOOSE[0])})


def finalized(count):
    """Log while finalizers that log are run at any allocation."""
    known = gc.get_threshold()
    gc.set_threshold(3)
    returned = []
    for _ in range(count):
        Finalized()
        log_some(returned, 1)
    gc.set_threshold(*known)
    gc.collect()
    Ring().tell(returned)


def deep(left):
    """Log with so many frames left before the interpreter's limit."""
    frame, depth = sys._getframe(), 0
    while frame:
        frame, depth = frame.f_back, depth + 1
    number, answers = next(NUMBERS[0]), []

    def down(levels):
        if levels:
            down(levels - 1)
            return
        try:
            RUN[0].log({"n": number, "x": 0.25})
        except RecursionError:
            answers.append("RecursionError")

    down(sys.getrecursionlimit() - depth - left)
    note("deep", "".join(answers), number)
    if not answers:
        # What is left of the stack may do for wandb alone.
        note("logged", "", number, exempt=True)
