# SPDX-License-Identifier: Apache-2.0
"""Replaces small JSON files atomically: a reader finds the old one or the new one, whole.

It must never write into the file that a reader may have open, nor leave half a file behind.
"""

from __future__ import annotations

import json
import os
from typing import Any

from primus_lens_hook.interruption import is_interruption, suppress
from primus_lens_hook.recording.json_text import valid
from primus_lens_hook.recording.safe_open import open_regular

LONGEST = 1 << 24  # bytes that are read of a file which somebody else may have written


def replace(path: str, value: Any) -> None:
    """Put `value` in the place of what `path` holds. Raises OSError."""
    # With the pid: a forked child may replace the same file at the same moment, and with one
    # name the two would write into each other's half. In the same directory, since rename does
    # not cross file systems.
    text = valid(json.dumps(value))
    temporary = "%s.%d" % (path, os.getpid())
    # Removed, then made anew: what has the name is a dead process's, or a link put in its place.
    with suppress(FileNotFoundError):
        os.unlink(temporary)
    try:
        # Within it: a signal handler may raise as soon as the file is there.
        fd = open_regular(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
        with open(fd, "w", encoding="utf-8") as file:
            file.write(text)
        # Not os.rename, which fails on Windows if the file exists. No fsync: after a power failure
        # the file may be empty, which readers take for none; to wait for a disk is worse.
        os.replace(temporary, path)
    except BaseException:  # a full disk, a signal handler
        with suppress(OSError):
            os.unlink(temporary)
        raise


def load(path: str) -> Any:
    """What `path` holds; None for no file, no JSON or something that is no small file."""
    try:
        with open(open_regular(path, os.O_RDONLY), encoding="utf-8") as file:
            return json.loads(file.read(LONGEST))
    except (OSError, ValueError, RecursionError) as error:
        if is_interruption(error):
            raise
        return None
