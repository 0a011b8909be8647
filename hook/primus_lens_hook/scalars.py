# SPDX-License-Identifier: Apache-2.0
"""From what users log to JSON text: flat keys, plain values.

Numbers, booleans, strings and null go by value, numpy, torch and JAX scalars too. Media
and all other objects leave only `{"_type": …}`: their content is W&B's business. It must
never change the user's objects, and one odd value must never cost the rest of the row.

The text is put together by hand, since a row is mostly floats under a few keys that never
change: a third of the time of flattening it first and encoding it then.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Dict, List, Optional

from primus_lens_hook import contract

MAX_DEPTH = 32  # of nested dicts; deeper ones (or endless ones) become {"_type": "dict"}
KEPT_KEYS = 10_000  # a training that makes up a key for each row must not fill the memory
INT64 = 2**63

_members: Dict[str, str] = {}  # 'loss' -> '"loss":'


def encode(data: Mapping[Any, Any]) -> Optional[str]:
    """The members of a flat JSON object, `"loss":0.5,"n.a":1`, for one log call's data.

    Returns None when a key is not a string: wandb refuses the call with its own error.
    """
    parts: List[str] = []
    for key, value in data.items():
        member = _members.get(key)
        if member is None:
            if not isinstance(key, str):
                return None
            member = _member(key)
        kind = type(value)
        # The two kinds that fill almost every row, without a call of ours.
        # `x - x` is 0 for each finite float and NaN for the others.
        if (kind is float and value - value == 0.0) or (kind is int and -INT64 < value < INT64):
            parts.append(member + repr(value))
        else:
            _add(parts, key, value, 0)
    return ",".join(parts)


def _add(parts: List[str], key: str, value: Any, depth: int) -> None:
    # wandb joins nested keys with a dot (sdk/wandb_summary, sdk/internal/handler).
    if isinstance(value, Mapping) and depth < MAX_DEPTH:
        for inner, nested in value.items():
            _add(parts, "%s.%s" % (key, inner), nested, depth + 1)
        return
    try:
        text = json.dumps(plain(value))
    except Exception:  # an object's own property or item() raised; an int of 5,000 digits
        text = json.dumps(_type_only(value))
    parts.append(_member(key) + text)


def _member(key: str) -> str:
    if len(_members) >= KEPT_KEYS:
        _members.clear()
    member = _members[key] = json.dumps(key) + ":"
    return member


def plain(value: Any) -> Any:
    """A JSON value for one logged value; non-finite numbers by their names."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return str(value)
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return _finite(float(value))
    if _is_scalar_array(value):
        number = value.item()  # numpy, torch, JAX; brings a GPU value to the host as wandb does
        if isinstance(number, (bool, int, float, str)):
            return plain(number)
    return _type_only(value)


def _is_scalar_array(value: Any) -> bool:
    """Arrays of one element count as their element, as in wandb's own conversion."""
    if not hasattr(value, "item") or not hasattr(value, "shape"):
        return False
    return all(length == 1 for length in value.shape)


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
