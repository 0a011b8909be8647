# SPDX-License-Identifier: Apache-2.0
"""Replaces small JSON files atomically: a reader finds the old one or the new one, whole.

It must never write into the file that a reader may have open.
"""

from __future__ import annotations

import json
import os
from typing import Any


def replace(path: str, value: Any) -> None:
    """Put `value` in the place of what `path` holds. Raises OSError."""
    # With the pid: a forked child may replace the same file at the same moment, and with one
    # name the two would write into each other's half. In the same directory, since rename does
    # not cross file systems.
    temporary = "%s.%d" % (path, os.getpid())
    with open(temporary, "w") as file:
        json.dump(value, file)
    # Not os.rename, which fails on Windows if the file exists. No fsync: after a power failure
    # the file may be empty, which readers take for none; to wait for a disk is worse.
    os.replace(temporary, path)
