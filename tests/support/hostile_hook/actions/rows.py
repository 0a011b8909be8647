# SPDX-License-Identifier: Apache-2.0
"""Calls of wandb. Each row has a number under the key `n`, by which it is found again."""

import itertools
import os
import time

import wandb

from support.hostile_hook.actions.notes import NUMBERS, called, note

__all__ = [
    "begin", "chdir", "define", "finish", "freeze_clock", "last_row",
    "row", "rows", "summary", "umask", "wait", "whole", "write",
]  # fmt: skip

RUN = [None]
RUNS = itertools.count(1)


def begin(**how):
    """The process logs to a new run from here on."""
    name = f"run{next(RUNS)}"
    called("init", lambda: RUN.__setitem__(0, wandb.init(project="p", id=name, **how)))


def row(values=None, **how):
    """Log a row of the next number and these values."""
    number = next(NUMBERS[0])
    log_noted({"n": number, **(values or {})}, number, **how)


def last_row():
    """The same at the interpreter's end."""
    number = next(NUMBERS[0])
    try:
        RUN[0].log({"n": number, "at": "exit"})
    except Exception:  # which one depends on how far wandb's thread has got with its own end
        note("raised", "at exit", number)
    else:
        note("logged", "", number)


def rows(count, first=None, **values):
    """Log that many, from the step `first` on."""
    for step in range(count):
        row(values, **({} if first is None else {"step": first + step}))


def whole(data):
    """Log data as it is; it may be no mapping, or raise."""
    log_noted(data, None)


def log_noted(data, number, *, who_is_loose=False, **how):
    try:
        RUN[0].log(data, **how)
    except Exception as error:
        note("raised", f"{type(error).__name__}: {error}", number, loose=who_is_loose)
    else:
        note("logged", "", number, loose=who_is_loose)


def define(name, **how):
    called("define", lambda: RUN[0].define_metric(name, **how) and None)


def summary(key):
    called("summary", lambda: RUN[0].summary.get(key))


def write(key, value):
    called("write", lambda: RUN[0].summary.update({key: value}))


def finish(**how):
    called("finish", lambda: RUN[0].finish(**how))


def chdir(name):
    os.makedirs(name, exist_ok=True)
    os.chdir(name)


def wait(seconds):
    time.sleep(seconds)


def umask(mode):
    os.umask(mode)


def freeze_clock(moment):
    """What freezegun does to a test."""
    time.time = lambda: moment
