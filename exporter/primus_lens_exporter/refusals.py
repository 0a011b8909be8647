# SPDX-License-Identifier: Apache-2.0
"""What could not be read: counted and logged once for each path, not once for each look."""

from __future__ import annotations

import errno
import logging

from primus_lens_exporter.telemetry import Telemetry

log = logging.getLogger(__name__)


class NotRegular(OSError):
    """The path is a FIFO, a directory, a device: something a pod put in a file's place."""


class Refusals:
    """Remembers why each path was refused, until it is read after all."""

    def __init__(self, telemetry: Telemetry) -> None:
        self._telemetry = telemetry
        self._reasons: dict[str, str] = {}

    def note(self, path: str, error: OSError) -> None:
        """Count and log a refusal, unless the path was refused for the same reason before."""
        if isinstance(error, FileNotFoundError):
            return  # deleted since it was listed, which is everybody's right
        reason = _reason(error)
        if self._reasons.get(path) != reason:
            self._reasons[path] = reason
            self._telemetry.refused.labels(reason).inc()
            extra = {"path": path, "reason": reason, "error": error.strerror}
            log.warning("cannot read", extra=extra)

    def lift(self, path: str) -> None:
        """The path could be read: its next refusal is a new one."""
        self._reasons.pop(path, None)

    def forget(self, directory: str) -> None:
        """The directory is followed no more: nor is what was refused in it remembered."""
        for path in [path for path in self._reasons if path.startswith(directory + "/")]:
            del self._reasons[path]


def _reason(error: OSError) -> str:
    if isinstance(error, NotRegular) or error.errno == errno.ENXIO:  # ENXIO: a socket
        return "not_regular"
    if isinstance(error, PermissionError):
        return "permission"
    return "link" if error.errno == errno.ELOOP else "io_error"
