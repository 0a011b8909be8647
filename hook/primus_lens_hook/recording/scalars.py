# SPDX-License-Identifier: Apache-2.0
"""From what users log to JSON text: flat keys, plain values.

Numbers, booleans, strings and null go by value, numpy, torch and JAX scalars too; all other
objects leave only `{"_type": …}`. It must never change the user's objects, and one odd value
must never cost the rest of the row.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Dict, List, Optional, Tuple

from primus_lens_hook import contract
from primus_lens_hook.interruption import is_interruption
from primus_lens_hook.recording.json_text import valid

MAX_DEPTH = 32  # of nested dicts; deeper ones (or endless ones) become {"_type": "dict"}
KEPT_TEMPLATES = 256  # a training that makes up keys for each row must not fill the memory
LARGE = 1e300  # no row that adds up to less holds an infinity, or an int too long to print

# Exact types: repr is their JSON. That of a bool is `True`, that of a numpy.float64, a subclass of
# float, is `np.float64(0.5)` since numpy 2.
NUMBERS = {float, int}
# check_circular: `_flatten` builds the dict afresh, it cannot contain itself.
_json = json.JSONEncoder(check_circular=False, separators=(",", ":")).encode

_name_of = type.__dict__["__name__"].__get__  # a class of a class may have another, which raises

# A row is mostly numbers under keys that never change: such a line is printed by a template that
# is kept for its keys, in about half the time of the general way.
# The start of a record's line: Unix seconds, then the step or `null`. Printed as two integers,
# the seconds cost a fifth of what the digits of a float do.
LINE = '{"timestamp":%d.%06d,"step":%s,"data":{'
MICROSECONDS = 1_000_000

# By the keys of a row, ("loss",) -> LINE + '"loss":%r,'.
TEMPLATES: Dict[Tuple[str, ...], str] = {}


def start_of_line(data: Mapping[str, Any], timestamp: float, step: Any) -> str:
    """The line of a record up to the members of its data, each with a comma behind it."""
    members = encode(data)
    start = LINE % (*divmod(int(timestamp * MICROSECONDS), MICROSECONDS), step)
    return start + (members + "," if members else "")


def encode(data: Mapping[str, Any]) -> str:
    """The members of a flat JSON object, `"loss":0.5,"n.a":1`, for one log call's data."""
    # In the order of the row, and a later key wins: {"a.b": 1, "a": {"b": 2}} is one column.
    flat: List[Tuple[str, Any]] = []
    for key, value in data.items():
        _flatten(flat, str.__str__(key), value, 0)
    return valid(_json(dict(flat))[1:-1])


def template_of(keys: Tuple[str, ...], values: Mapping[str, Any]) -> Optional[str]:
    """The template of a row of nothing but numbers, kept for its keys; None of any other row."""
    try:
        if not values or not NUMBERS.issuperset(map(type, values.values())):
            return None
    except Exception as error:  # a class of a class may raise for its hash
        if is_interruption(error):
            raise
        return None
    return TEMPLATES.get(keys) or _make_template(keys)


def _make_template(keys: Tuple[str, ...]) -> str:
    # Emptied as a whole: another thread may be in here, and to look for the oldest one would
    # need a lock for each log call.
    if len(TEMPLATES) >= KEPT_TEMPLATES:
        TEMPLATES.clear()
    names = (valid(json.dumps(key)).replace("%", "%%") for key in keys)
    TEMPLATES[keys] = template = LINE + "".join(name + ":%r," for name in names)
    return template


def _flatten(flat: List[Tuple[str, Any]], key: str, value: Any, depth: int) -> None:
    begin = len(flat)
    try:
        # wandb joins nested keys with a dot (sdk/wandb_summary, sdk/internal/handler). Those of
        # dicts: it refuses other mappings, and one of them may be a file, or endless.
        if not isinstance(value, dict) or depth == MAX_DEPTH:
            flat.append((key, plain(value)))
            return
        # A list first: another thread may go on changing the dict.
        for inner, nested in list(value.items()):
            name = inner if type(inner) is str else _name(inner)
            _flatten(flat, "%s.%s" % (key, name), nested, depth + 1)
    except Exception as error:  # whatever is the user's may raise, a dict of its own too
        if is_interruption(error):
            raise
        del flat[begin:]
        flat.append((key, _type_only(value)))


def _name(key: Any) -> str:
    """A nested key as JSON has it."""
    key = plain(key)
    if isinstance(key, dict):
        raise TypeError("wandb refuses such keys")
    return str(key).lower() if isinstance(key, bool) else str(key)


def plain(value: Any) -> Any:
    """A JSON value for one logged value; non-finite numbers by their names."""
    kind = type(value)
    if kind is float:  # nearly always
        return _finite(value)
    # bool before int, of which it is a subclass.
    if value is None or kind is bool:
        return value
    # Subclasses become plain, by the methods of the class that C has for json: their own may
    # print anything (a str Enum its name), or raise.
    if issubclass(kind, str):
        return str.__str__(value)
    if issubclass(kind, int):
        number = int.__int__(value)
        # Python 3.11 raises for an int of more than 4300 digits; a reader's float ends at 1e308.
        return number if -LARGE < number < LARGE else _type_only(value)
    if issubclass(kind, float):
        return _finite(float.__float__(value))
    element = unwrap(value)
    return _type_only(value) if element is value else plain(element)


def unwrap(value: Any) -> Any:
    """The number in an array of one element (numpy, torch, JAX); other values as they are."""
    # By the class: to ask the object may be a request to another process (a proxy), or an error.
    kind = type(value)
    if not hasattr(kind, "item") or not hasattr(kind, "shape"):
        return value
    # What numpy.ma masks has a number all the same.
    if any(length != 1 for length in value.shape) or getattr(value, "mask", False):
        return value
    # For a GPU's tensor, item() waits for the GPU. wandb's own conversion does so for the same
    # call, and counts such arrays as their element too.
    number = value.item()
    return number if isinstance(number, (int, float, str)) else value


def _finite(number: float) -> Any:
    if number - number == 0.0:
        return number
    if number != number:
        return contract.NOT_A_NUMBER
    return contract.POSITIVE_INFINITY if number > 0 else contract.NEGATIVE_INFINITY


def _type_only(value: Any) -> Dict[str, str]:
    """W&B's own name of a media type (`image-file`, `histogram`, …), or the class name."""
    kind = type(value)
    try:
        name = getattr(kind, "_log_type", None)
    except Exception as error:  # of a class of a class
        if is_interruption(error):
            raise
        name = None
    return {"_type": name if type(name) is str else _name_of(kind)}
