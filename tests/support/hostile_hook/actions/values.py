# SPDX-License-Identifier: Apache-2.0
"""Values that are hostile to whoever looks at them."""

import collections.abc
import enum

__all__ = [
    "Attributes",
    "Chatty",
    "Endless",
    "Half",
    "Integer",
    "Item",
    "Lazy",
    "Missing",
    "Shape",
    "Speechless",
    "Text",
    "Word",
]


class Item:
    """Looks like an array of one number, and has none."""

    shape = ()

    def item(self):
        raise RuntimeError("no item")


class Shape:
    """Has an item, and a shape that raises."""

    def item(self):
        return 1.0

    @property
    def shape(self):
        raise ValueError("no shape")


class Attributes:
    """Raises for each attribute."""

    def __getattribute__(self, name):
        raise ReferenceError("weakly-referenced object no longer exists")


class Speechless:
    """Cannot be printed."""

    def __str__(self):
        raise RuntimeError("no text")

    __repr__ = __format__ = __str__


class Missing(collections.abc.Mapping):
    """A mapping with a value that is missing, as OmegaConf's `???`."""

    def __getitem__(self, key):
        raise KeyError("missing mandatory value: " + key)

    def __iter__(self):
        return iter(("lr", "epochs"))

    def __len__(self):
        return 2


class Half(Missing):
    """A mapping that raises while its keys are read."""

    def __iter__(self):
        yield "lr"
        raise RuntimeError("no more keys")


class Lazy(dict):
    """A dict with items of its own mind."""

    def items(self):
        raise RuntimeError("not loaded")

    keys = __iter__ = items


class Endless(dict):
    """Contains itself."""

    def __init__(self):
        super().__init__()
        self["self"] = self


class Text(str):
    """A text that cannot be printed."""

    __slots__ = ()

    def __str__(self):
        raise RuntimeError("no text")

    def __hash__(self):
        return 7


class Integer(int):
    """An integer that raises where it is compared or printed."""

    def __lt__(self, other):
        raise RuntimeError("not to be compared")

    __gt__ = __le__ = __ge__ = __repr__ = __str__ = __abs__ = __lt__


class Word(str, enum.Enum):  # noqa: UP042 as users write it
    LOSS = "loss"


class Chatty:
    """An array of one number that prints."""

    shape = (1,)

    def item(self):
        return 2.5

    def __len__(self):
        raise TypeError("len() of unsized object")
