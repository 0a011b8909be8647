# SPDX-License-Identifier: Apache-2.0
"""Warnings that are logged once. A pod, or an API that fails for hours, must not fill the log."""

from __future__ import annotations

import logging


class WarnOnce:
    """Logs each kind of warning once, and again only after it was over."""

    def __init__(self, log: logging.Logger) -> None:
        self._log = log
        self._kinds: set[str] = set()

    def __call__(self, kind: str, message: str, /, **details: object) -> None:
        """Log, unless the kind was logged already."""
        if kind not in self._kinds:
            self._kinds.add(kind)
            self._log.warning(message, extra=details)

    def __contains__(self, kind: str) -> bool:
        """Whether the kind was logged; asked where the details of a warning cost something."""
        return kind in self._kinds

    def over(self) -> bool:
        """What was wrong is right again; returns whether anything was."""
        was_wrong = bool(self._kinds)
        self._kinds.clear()
        return was_wrong
