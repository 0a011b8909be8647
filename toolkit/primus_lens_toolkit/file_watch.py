# SPDX-License-Identifier: Apache-2.0
"""Tells when configuration files have to be read again, by looks at them: no event of the kernel
reports every way in which Kubernetes, editors and other tools replace a file.
"""

from __future__ import annotations

from pathlib import Path

Stamp = tuple[int, int] | None


class FileWatch:
    """Whether files have changed since they were read.

    A change counts when it is as it was a call before, so that no half-written file is read,
    nor a new certificate beside the old key.
    """

    def __init__(self) -> None:
        self._read: dict[Path, Stamp] = {}
        self._settling: dict[Path, Stamp] = {}

    def restart(self, *paths: Path) -> None:
        """Watch these alone. Call it before they are read, so that no change is missed."""
        self._read = {path: _stamp(path) for path in paths}

    def add(self, *paths: Path) -> None:
        """Watch these too. Call it before they are read."""
        self._read |= {path: _stamp(path) for path in paths}

    def changed(self) -> bool:
        """Call about once a second."""
        stamps = {path: _stamp(path) for path in self._read}
        settled = stamps != self._read and stamps == self._settling
        self._settling = stamps
        return settled


def _stamp(path: Path) -> Stamp:
    """Links are followed, as Kubernetes swaps them; the change time tells of a chmod too."""
    try:
        stat = path.stat()
    except OSError:
        return None
    return stat.st_ino, stat.st_ctime_ns
