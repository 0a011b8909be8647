# SPDX-License-Identifier: Apache-2.0
"""From what users log to JSON text: flat keys, plain values.

Numbers, booleans, strings and null go by value, numpy, torch and JAX scalars too; all other
objects leave only `{"_type": …}`. It must never change the user's objects, and one odd value
must never cost the rest of the row.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Dict, Optional, Tuple

from primus_lens_hook import contract

MAX_DEPTH = 32  # of nested dicts; deeper ones (or endless ones) become {"_type": "dict"}
KEPT_TEMPLATES = 256  # a training that makes up keys for each row must not fill the memory
LARGE = 1e300  # no row that adds up to less holds an infinity, or an int too long to print

# Exact types: repr is their JSON. That of a bool is `True`, that of a numpy.float64, a subclass of
# float, is `np.float64(0.5)` since numpy 2.
NUMBERS = {float, int}
# check_circular: `_flatten` builds the dict afresh, it cannot contain itself.
_json = json.JSONEncoder(check_circular=False, separators=(",", ":")).encode

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
    flat: Dict[str, Any] = {}
    for key, value in data.items():
        _flatten(flat, key, value, 0)
    return _json(flat)[1:-1]


def template_of(keys: Tuple[str, ...], values: Mapping[str, Any]) -> Optional[str]:
    """The template of a row of nothing but numbers, kept for its keys; None of any other row."""
    if not values or not NUMBERS.issuperset(map(type, values.values())):
        return None
    return TEMPLATES.get(keys) or _make_template(keys)


def _make_template(keys: Tuple[str, ...]) -> str:
    # Emptied as a whole: another thread may be in here, and to look for the oldest one would
    # need a lock for each log call.
    if len(TEMPLATES) >= KEPT_TEMPLATES:
        TEMPLATES.clear()
    members = "".join(json.dumps(key).replace("%", "%%") + ":%r," for key in keys)
    TEMPLATES[keys] = template = LINE + members
    return template


def _flatten(flat: Dict[str, Any], key: str, value: Any, depth: int) -> None:
    # wandb joins nested keys with a dot (sdk/wandb_summary, sdk/internal/handler).
    if isinstance(value, Mapping) and depth < MAX_DEPTH:
        for inner, nested in value.items():
            _flatten(flat, "%s.%s" % (key, inner), nested, depth + 1)
        return
    try:
        flat[key] = plain(value)
    except Exception:  # an object's own property or item() raised
        flat[key] = _type_only(value)


def plain(value: Any) -> Any:
    """A JSON value for one logged value; non-finite numbers by their names."""
    # bool before int, of which it is a subclass.
    if value is None or isinstance(value, bool):
        return value
    # Subclasses become plain: json prints them by methods of theirs.
    if isinstance(value, str):
        return str(value)
    if isinstance(value, int):
        # Python 3.11 raises for an int of more than 4300 digits; a reader's float ends at 1e308.
        return int(value) if -LARGE < value < LARGE else _type_only(value)
    if isinstance(value, float):
        return _finite(float(value))
    number = unwrap(value)
    if number is not value:
        return plain(number)
    return _type_only(value)


def unwrap(value: Any) -> Any:
    """The number in an array of one element (numpy, torch, JAX); other values as they are."""
    # For a GPU's tensor, item() waits for the GPU. wandb's own conversion does so for the same
    # call, and counts such arrays as their element too.
    if not hasattr(value, "item") or not hasattr(value, "shape"):
        return value
    if any(length != 1 for length in value.shape):
        return value
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
    kind = getattr(type(value), "_log_type", None)
    return {"_type": kind if isinstance(kind, str) else type(value).__name__}
