# SPDX-License-Identifier: Apache-2.0
"""What a life tells of itself: a JSON line for each action, through a named pipe.

A pipe and no file: a life may limit the size of its files, or fill its disk. It is opened for
each note, since a life may close every descriptor.
"""

import collections
import itertools
import json
import os
import zlib

__all__ = ["over", "trouble"]

ROWS_OF_A_PROCESS = 1000
WHO = ["main"]
NUMBERS = [itertools.count(1)]
LOOSE = [itertools.count(1_000_000)]  # of calls that may be more or fewer from life to life
TROUBLE = "HOSTILE_TROUBLE"  # why the next lines may be lost: in the environment, for children
FORGOTTEN = "forgotten"  # the kind of a note: the records so far are gone
PENDING = collections.deque()


def note(kind, what="", number=None, *, loose=False, exempt=False):
    """Tell what came of an action; `loose` where it may differ from life to life.

    `exempt` rows were logged while their disk failed: they need not be recorded.
    """
    exempt = exempt or bool(os.environ.get(TROUBLE))
    told = [WHO[0], os.getpid(), kind, str(what), number, loose, exempt]
    PENDING.append(json.dumps(told) + "\n")
    try:
        pipe = os.open(os.environ["HOSTILE_NOTES"], os.O_WRONLY | os.O_NONBLOCK)
    except OSError:  # no descriptor is left: the next note brings this one
        return
    try:
        while PENDING:
            send(pipe, PENDING.popleft())
    except (OSError, IndexError):  # another thread was quicker
        pass
    finally:
        os.close(pipe)


def send(pipe, line):
    try:
        os.write(pipe, line.encode())
    except OSError:
        PENDING.appendleft(line)
        raise


def called(kind, call):
    """Call, and note what it returned or raised."""
    try:
        answer = call()
    except Exception as error:
        note(kind, f"{type(error).__name__}: {error}")
        return None
    note(kind, answer if isinstance(answer, (str, int, float, bool)) else "")
    return answer


def become(who):
    """This process or thread is another one from here on: its rows have numbers of their own."""
    WHO[0] = who
    NUMBERS[0] = numbers_of(who)
    LOOSE[0] = numbers_of(who + " loose")
    PENDING.clear()


def numbers_of(who):
    return itertools.count(1 + ROWS_OF_A_PROCESS * (2_000 + zlib.crc32(who.encode()) % 1_000_000))


def trouble(why):
    """From here on lines may be lost."""
    os.environ[TROUBLE] = f"{os.environ.get(TROUBLE, '')},{why}"


def over(why):
    """From here on they may not."""
    os.environ[TROUBLE] = os.environ.get(TROUBLE, "").replace(f",{why}", "")
