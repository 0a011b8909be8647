# SPDX-License-Identifier: Apache-2.0
"""Errors of reading in one directory, each counted once for a name and not for each pass."""

from __future__ import annotations

import errno
from collections.abc import Container

from primus_lens_exporter.reading.safe_open import HardLink, NotRegular
from primus_lens_exporter.reading.tenant import Tenant

REASONS = {
    errno.ENXIO: "not_regular",  # a socket
    errno.ELOOP: "link",
    errno.EXDEV: "outside",
    errno.EWOULDBLOCK: "lease",
    errno.ENOTDIR: "not_directory",
}

REMEMBERED = 100  # names in one directory; more are counted at each look


class ReadErrors:
    """Remembers the error of each name, until it can be read or is gone."""

    __slots__ = ("_directory", "_reasons", "_tenant")

    def __init__(self, directory: str, tenant: Tenant) -> None:
        self._directory = directory
        self._tenant = tenant
        self._reasons: dict[str, str] = {}

    def note(self, name: str, error: OSError) -> None:
        """Count an error, unless the name failed for the same reason before."""
        if isinstance(error, FileNotFoundError):
            return  # deleted since it was listed, which is everybody's right
        reason = _reason(error)
        if self._reasons.get(name) != reason:
            if len(self._reasons) < REMEMBERED:
                self._reasons[name] = reason
            self._tenant.refused(reason, f"{self._directory}/{name}", error.strerror)

    def lift(self, name: str) -> None:
        """The name could be read: its next error is a new one."""
        self._reasons.pop(name, None)

    def keep(self, names: Container[str]) -> None:
        """Forget the errors of names that are no longer there."""
        self._reasons = {name: why for name, why in self._reasons.items() if name in names}


def _reason(error: OSError) -> str:
    if isinstance(error, NotRegular):
        return "not_regular"
    if isinstance(error, HardLink):
        return "hard_link"
    if isinstance(error, PermissionError):
        return "permission"
    return REASONS.get(error.errno or 0, "io_error")
