# SPDX-License-Identifier: Apache-2.0
"""RFC 6902 operations, built one by one against a raw object.

Later operations see what earlier ones made: a list that is absent is created with its first
element and appended to from then on. The object itself is never changed.
"""

from __future__ import annotations

from typing import Any

from primus_lens_webhook.document import Object

Operation = dict[str, Any]


def escaped(key: str) -> str:
    """A key as a part of a JSON pointer (RFC 6901)."""
    return key.replace("~", "~0").replace("/", "~1")


class Patch:
    """Collects operations; `path` is always where the parent lies, "" being the root."""

    def __init__(self) -> None:
        self.operations: list[Operation] = []
        self._made: set[str] = set()

    def append(self, path: str, parent: Object, key: str, value: object) -> None:
        """Add to the list `key` of the parent, which may lack it or have null there."""
        where = f"{path}/{escaped(key)}"
        if parent.get(key) is None and where not in self._made:
            self._made.add(where)
            self._do("add", where, [value])
        else:
            self._do("add", f"{where}/-", value)

    def insert(self, path: str, parent: Object, key: str, index: int, value: object) -> None:
        """Put before the element that has this index in the list `key` of the parent."""
        if parent.get(key) is None:
            self.append(path, parent, key, value)
        else:
            self._do("add", f"{path}/{escaped(key)}/{index}", value)

    def put(self, path: str, parent: Object, key: str, name: str, value: object) -> None:
        """Set a member of the object `key` of the parent, which may lack it or have null there."""
        where = f"{path}/{escaped(key)}"
        if parent.get(key) is None and where not in self._made:
            self._made.add(where)
            self._do("add", where, {name: value})
        else:
            self._do("add", f"{where}/{escaped(name)}", value)

    def ensure(self, path: str, parent: Object, key: str) -> None:
        """Make the object `key` of the parent, empty, if it is absent or null."""
        where = f"{path}/{escaped(key)}"
        if parent.get(key) is None and where not in self._made:
            self._made.add(where)
            self._do("add", where, {})

    def replace(self, where: str, value: object) -> None:
        """Put another value in the place of what lies there."""
        self._do("replace", where, value)

    def set(self, path: str, parent: Object, key: str, value: object) -> None:
        """Set the member `key` of the parent, whether or not it is there."""
        op = "replace" if key in parent else "add"
        self._do(op, f"{path}/{escaped(key)}", value)

    def _do(self, op: str, path: str, value: object) -> None:
        self.operations.append({"op": op, "path": path, "value": value})
