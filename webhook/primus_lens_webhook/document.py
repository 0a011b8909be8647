# SPDX-License-Identifier: Apache-2.0
"""Reading a raw Kubernetes object without believing that it has the shape it should.

Nothing is decoded into types and written back: that would delete the fields that are newer
than the types. What is absent, and YAML's `key:` with nothing behind it, count as empty.
"""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from typing import Any, TypeVar

Object = Mapping[str, Any]
Kind = TypeVar("Kind")


class Malformed(Exception):
    """A part of the object has another type than the API gives it; the text names it."""


def mapping(parent: Object, key: str) -> Object:
    """The object below a key. Raises Malformed."""
    return _typed(parent, key, dict, "an object")


def text(parent: Object, key: str) -> str:
    """The string below a key, or "". Raises Malformed."""
    return _typed(parent, key, str, "a string")


def objects(parent: Object, key: str) -> list[Object]:
    """The list of objects below a key. Raises Malformed."""
    return _list(parent, key, dict, "a list of objects")


def strings(parent: Object, key: str) -> list[str]:
    """The list of strings below a key. Raises Malformed."""
    return _list(parent, key, str, "a list of strings")


def _typed(parent: Object, key: str, kind: type[Kind], description: str) -> Kind:
    value = parent.get(key)
    if value is None:
        return kind()
    if not isinstance(value, kind):
        raise Malformed(f"{key} is not {description}")
    return value


def _list(parent: Object, key: str, kind: type, description: str) -> list[Any]:
    values: list[Any] = _typed(parent, key, list, description)
    # A list has few types: to look at each once is most of the time that a decision takes.
    if not all(issubclass(each, kind) for each in set(map(type, values))):
        raise Malformed(f"{key} is not {description}")
    return values


def annotations_of(pod: Object) -> Object:
    """Of the pod. Raises Malformed."""
    return mapping(mapping(pod, "metadata"), "annotations")


def named(parent: Object, key: str, name: str) -> Object | None:
    """The first object of that name in the list below a key. Raises Malformed."""
    for each in objects(parent, key):
        if each.get("name") == name:
            return each
    return None


def by_name(parent: Object, key: str) -> dict[str, Object]:
    """The first object of each name in the list below a key. Raises Malformed."""
    return {text(each, "name"): each for each in reversed(objects(parent, key))}


def mount_point(mount: Object) -> str:
    """Where a volume is mounted, as runtimes understand it. Raises Malformed."""
    return posixpath.normpath("/" + text(mount, "mountPath").lstrip("/"))
