# SPDX-License-Identifier: Apache-2.0
"""Children, threads and other programs, which log too."""

import multiprocessing
import os
import subprocess
import sys
import threading

from support.hostile_hook.actions.endings import leave
from support.hostile_hook.actions.notes import become, note, numbers_of
from support.hostile_hook.actions.rows import RUN, begin, log_noted, rows

__all__ = ["another_program", "become_program", "daemon_thread", "fork", "multiprocess", "threads"]

ANOTHER = """
from support.hostile_hook.actions import *
from support.hostile_hook.actions.notes import become
become({who!r})
begin(mode={mode!r}, dir={directory!r})
rows({count})
leave({end!r})
"""


def fork(who, count, end):
    """A child by os.fork logs to the run of its parent."""
    child = os.fork()
    if not child:
        become(who)
        rows(count)
        leave(end)
    note("child", os.waitpid(child, 0)[1])


def multiprocess(who, method, count, handed):
    """A child of multiprocessing, which gets the run or begins its own."""
    context = multiprocessing.get_context(method)
    child = context.Process(target=work, args=(who, count, RUN[0] if handed else None))
    try:
        child.start()
    except Exception as error:
        note("child", type(error).__name__)
        return
    child.join()
    note("child", child.exitcode)


def work(who, count, run):
    become(who)
    if run is None:
        begin(mode="disabled")
    else:
        RUN[0] = run
    rows(count)


def threads(who, count):
    """Three threads log at once."""
    known = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    started = [
        threading.Thread(target=log_in_thread, args=(f"{who}.{each}", count)) for each in range(3)
    ]
    for thread in started:
        thread.start()
    for thread in started:
        thread.join()
    sys.setswitchinterval(known)


def log_in_thread(who, count):
    numbers = numbers_of(who)
    for number, _ in zip(numbers, range(count), strict=False):
        log_noted({"n": number}, number, who_is_loose=True)


def daemon_thread(who):
    """A thread that logs until the interpreter is gone."""
    threading.Thread(target=log_in_thread, args=(who, 900), daemon=True).start()


def another_program(who, count, end, mode="disabled"):
    """A program of its own, of the same rank, while this one goes on."""
    text = program(who, count, end, mode)
    done = subprocess.run([sys.executable, "-c", text], check=False)
    note("program", done.returncode)


def become_program(who, count, end, mode="disabled"):
    """This process becomes another program."""
    sys.stdout and sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, "-c", program(who, count, end, mode)])


def program(who, count, end, mode):
    directory = os.path.join(os.environ["HOSTILE_LIFE"], "work")
    return ANOTHER.format(who=who, count=count, end=end, mode=mode, directory=directory)
