# SPDX-License-Identifier: Apache-2.0
"""Reading a raw Kubernetes object without believing that it has the shape it should.

Nothing is decoded into types and written back: that would delete the fields that are newer
than the types. What is absent, and YAML's `key:` with nothing behind it, count as empty.
"""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from typing import Any

Object = Mapping[str, Any]


class Malformed(Exception):
    """A part of the object has another type than the API gives it; the text names it."""


def mapping(parent: Object, key: str) -> Object:
    """The object below a key. Raises Malformed."""
    value = parent.get(key)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise Malformed(f"{key} is not an object")
    return value


def objects(parent: Object, key: str) -> list[Object]:
    """The list of objects below a key. Raises Malformed."""
    value = parent.get(key)
    if value is None:
        return []
    if not isinstance(value, list) or not _all(dict, value):
        raise Malformed(f"{key} is not a list of objects")
    return value


def strings(parent: Object, key: str) -> list[str]:
    """The list of strings below a key. Raises Malformed."""
    value = parent.get(key)
    if value is None:
        return []
    if not isinstance(value, list) or not _all(str, value):
        raise Malformed(f"{key} is not a list of strings")
    return value


def _all(kind: type, values: list[Any]) -> bool:
    """Few types stand for many values: this is most of the time that a decision takes."""
    return all(issubclass(each, kind) for each in set(map(type, values)))


def text(parent: Object, key: str) -> str:
    """The string below a key, or "". Raises Malformed."""
    value = parent.get(key)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise Malformed(f"{key} is not a string")
    return value


def annotations_of(pod: Object) -> Object:
    """Of the pod. Raises Malformed."""
    return mapping(mapping(pod, "metadata"), "annotations")


def named(parent: Object, key: str, name: str) -> Object | None:
    """The first object of that name in the list below a key. Raises Malformed."""
    for each in objects(parent, key):
        if each.get("name") == name:
            return each
    return None


def mount_point(mount: Object) -> str:
    """Where a volume is mounted, as runtimes understand it. Raises Malformed."""
    return posixpath.normpath("/" + text(mount, "mountPath").lstrip("/"))
