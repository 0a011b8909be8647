# SPDX-License-Identifier: Apache-2.0
"""Numbers in arrays without dimensions (scalars) of numpy, torch and JAX.

To read one from a GPU waits for the GPU, so it must never be read twice for one log call. Arrays
that wandb may refuse must stay as they are.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any, Dict

from primus_lens_hook.interruption import is_interruption
from primus_lens_hook.recording.scalars import unwrap

_LIBRARIES = ("numpy", "torch", "jaxlib")
_OTHERS = {float, int, bool, str, dict, list, type(None)}  # most values, told without a look


def unwrapped(values: Mapping[str, Any]) -> Dict[str, Any]:
    """The values with numbers in the place of such arrays; what is nested stays."""
    try:
        return {k: v if type(v) in _OTHERS else element(v) for k, v in values.items()}
    except Exception as error:  # a class of a class may raise for its hash
        if is_interruption(error):
            raise
        return dict(values)


def element(value: Any) -> Any:
    """The number in such an array; other values as they are."""
    try:
        return unwrap(value) if _is_scalar(value) else value
    except Exception as error:  # a lost GPU, for example: wandb is to meet it too
        if is_interruption(error):
            raise
        return value


def _is_scalar(value: Any) -> bool:
    """Whether wandb is known to store the element of this array: one of no dimensions."""
    # Only the libraries' own types: wandb refuses some that look alike (a pandas Series, a polars
    # value, a masked array), and would have been asked too late. A subclass may do anything.
    kind = type(value)
    library = kind.__module__.partition(".")[0]
    if library not in _LIBRARIES or getattr(value, "shape", None) != ():
        return False
    # Not imported: without numpy in the process nothing is masked.
    masked = getattr(sys.modules.get("numpy.ma"), "MaskedArray", ())
    return not isinstance(value, masked)
