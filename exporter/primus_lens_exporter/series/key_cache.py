# SPDX-License-Identifier: Apache-2.0
"""The text of a key in a series, one object for all runs that log under the key.

A node runs the same training on all its ranks: most of a series' text is shared. What
nobody uses any more is dropped, or a pod with ever new keys would fill the memory.
"""

from __future__ import annotations

from primus_lens_exporter.model.labels import encoded, label_text


class KeyCache:
    """Counts who uses each key."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[str, bytes]] = {}
        self._users: dict[str, int] = {}

    def take(self, key: str) -> tuple[str, bytes]:
        """The key and what follows the labels in its series, as objects to share."""
        shared = self._known.get(key)
        if shared is None:
            shared = self._known[key] = (key, encoded(f",{label_text([('key', key)])}}} "))
        self._users[key] = self._users.get(key, 0) + 1
        return shared

    def give_back(self, key: str) -> None:
        """One user fewer."""
        self._users[key] -= 1
        if not self._users[key]:
            del self._users[key], self._known[key]
