# SPDX-License-Identifier: Apache-2.0
"""Descriptors that are closed, stolen and used up, and what the life then writes into its own.

The numbers differ with and without the hook, so no action may depend on the number that it
gets, and none touches those that the life itself has open.
"""

import errno
import os
import random
import resource
import signal
import socket
import sys
import time

from support.hostile_hook.actions.notes import note, over, trouble

__all__ = [
    "close_all",
    "close_records",
    "close_some",
    "dup_over",
    "file_closes",
    "file_opens",
    "file_writes",
    "holds",
    "limit_file_size",
    "lose_stdio",
    "relieve",
    "still_holds",
    "use_up",
    "write_raw",
]

STANDARD, HIGHEST = 3, 64
OF_A_THREAD = ("socket:", "pipe:", "anon_inode:[event")  # what an event loop has open
FILES = {}  # the life's own: names -> numbers
COPIES = []
HOG = []
SETTLED = 1.4  # seconds after which a hook without a file has tried again
WAITS = []  # how often that was waited for


def file_opens(name):
    # Where the shell that the life began in stood: it may have gone elsewhere.
    path = os.path.join(os.environ["HOSTILE_LIFE"], "work", name)
    FILES[name] = apart(os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC))


def file_writes(name, count):
    if name in FILES:
        os.write(FILES[name], b"".join(b"%s %d\n" % (name.encode(), n) for n in range(count)))


def file_closes(name):
    if name in FILES:
        os.close(FILES.pop(name))


def holds(name, kind):
    """A file without a name, a pipe or a socket, in which nobody else has a part.

    What is written to has the number that was free: the record's, perhaps.
    """
    if kind == "unlinked":
        file_opens(name)
        os.unlink(os.path.join(os.environ["HOSTILE_LIFE"], "work", name))
        FILES[name, "other"] = apart(os.dup(FILES[name]))
    elif kind == "pipe":
        read, write = os.pipe()
        FILES[name, "other"] = apart(os.dup(read))
        FILES[name] = apart(os.dup2(write, read, inheritable=False))
        os.close(write)
    else:
        pair = socket.socketpair()
        FILES[name], FILES[name, "other"] = (apart(each.detach()) for each in pair)


def still_holds(name):
    """What is written into it is what comes out of it."""
    try:
        os.set_blocking(FILES[name, "other"], False)
        os.write(FILES[name], b"the life's own")
        if link_of(FILES[name]).endswith("(deleted)"):
            os.lseek(FILES[name], 0, os.SEEK_SET)
        note("holds", os.read(FILES[name, "other"], 1 << 16).decode())
    except OSError as error:
        note("holds", errno.errorcode[error.errno])


def apart(number):
    """The same file under a number that is not one of stdio's."""
    passed = []
    while number < STANDARD:
        passed.append(number)
        number = os.dup(number)
    for each in passed:
        os.close(each)
    return number


def close_each(numbers):
    """Close them, but for what an event loop has open.

    Without it, wandb's thread would print a long traceback beside the life, and open and close
    files for it under numbers that the life has by then: natively no two lives would be the same.
    """
    for number in numbers:
        if not link_of(number).startswith(OF_A_THREAD):
            closed(number)


def close_all():
    """What a daemon does when it begins."""
    FILES.clear()
    COPIES.clear()
    HOG.clear()
    close_each(range(STANDARD, HIGHEST))


def close_some(seed):
    """A bug of somebody's: numbers are closed that are not theirs."""
    if "HOSTILE_DAEMON" in os.environ:
        return  # EBUSY, where a thread is about to open a file under that number
    numbers = random.Random(seed).sample(range(3, 16), 8)
    close_each(set(numbers).difference(FILES.values()))


def close_records():
    """Closes what lies below the output path, and nothing of wandb's."""
    for number in range(3, HIGHEST):
        path = link_of(number)
        if "wandb_metrics" in path:
            closed(number)


def dup_over(name, seed):
    """The life's file takes numbers that are in use or not."""
    if "HOSTILE_DAEMON" in os.environ:
        return  # EBUSY, where a thread is about to open a file under that number
    own = set(FILES.values())
    for number in random.Random(seed).sample(range(3, 16), 8):
        is_free = number not in own and not link_of(number).startswith(OF_A_THREAD)
        if name in FILES and is_free:
            os.dup2(FILES[name], number)
            COPIES.append(number)


def use_up():
    """No descriptor is left."""
    trouble("descriptors")
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (HIGHEST, hard))
    try:
        while True:
            HOG.append(os.open("/dev/null", os.O_RDONLY))
    except OSError as error:
        note("used up", errno.errorcode[error.errno])


def relieve():
    """There are descriptors again, and the hook has had the time to see it."""
    while HOG:
        closed(HOG.pop())
    time.sleep(SETTLED * 2 ** len(WAITS))  # a hook that has lacked them before waits twice as long
    WAITS.append(None)
    over("descriptors")


def limit_file_size(size, default):
    """No file may become larger; with `default`, who tries is killed (SIGXFSZ)."""
    trouble("file size")
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL if default else signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


def lose_stdio(how):
    """stdout and stderr as a daemon, pythonw and a careless test leave them."""
    if how == "None":
        sys.stdout = sys.stderr = None
    elif how == "closed":
        sys.stdout.flush()
        sys.stderr.close()
    else:
        sys.stdout.flush()
        for number in (0, 1, 2):
            closed(number)


def write_raw(number):
    """What a library in C does to report an error, where the number is not another's by now."""
    if os.path.basename(link_of(number)).startswith(("std", "wandb_metrics")):
        note("raw", os.write(number, b"a line of a library\n"))
    else:  # natively it may be free, or of wandb's thread
        note("raw", "EBADF")


def closed(number):
    try:
        os.close(number)
    except OSError:
        return


def link_of(number):
    try:
        return os.readlink(f"/proc/self/fd/{number}")
    except OSError:
        return ""
