# SPDX-License-Identifier: Apache-2.0
"""Encodes the values of a late call that cannot wait as they are: media, arrays, objects.

wandb itself does it, by private functions. It must never take what is wrong with those for what
wandb says of the values: only the latter is the caller's to hear.
"""

from __future__ import annotations

import json
import sys
from typing import Any, Callable, Dict, NamedTuple, Optional

from primus_lens_hook.step_fix.log_call import LogCall
from primus_lens_hook.wandb_names import parameter_names, takes


class Encoders(NamedTuple):
    """wandb's functions, of which the first two write into the dict that they are given."""

    replace_charts: Any
    to_json: Any
    dumps: Any


def encoders(run: Any) -> Optional[Encoders]:
    """Those of this wandb; None where it has no such ones."""
    # Private, and looked up by name.
    found = Encoders(
        getattr(run, "_serialize_custom_charts", None),
        getattr(sys.modules.get("wandb.sdk.data_types.utils"), "history_dict_to_json", None),
        getattr(sys.modules.get("wandb.util"), "json_dumps_safer_history", None),
    )
    known = parameter_names(found.to_json)[:3] == ["run", "payload", "step"]
    fit = takes(found.replace_charts, {}) and takes(found.to_json, run, {}, 0)
    return found if known and fit and takes(found.dumps, 0) else None


def encoded(run: Any, call: LogCall, step: int) -> Optional[Dict[str, Any]]:
    """The values of a call as wandb encodes them, or None where this wandb cannot be asked.

    Files of media are written, as for a row that wandb drops. Raises what wandb raises.
    """
    found = encoders(run)
    if found is None:
        return None
    charts = _asked(call, found.replace_charts, dict(call.values))
    values = _asked(call, found.to_json, run, charts, step)
    if not isinstance(values, dict):
        return None
    texts = _asked(call, _texts, found.dumps, values)
    if not all(isinstance(text, (str, bytes)) for text in texts.values()):
        return None
    return {key: json.loads(text) for key, text in texts.items()}


def _asked(call: LogCall, function: Callable[..., Any], *arguments: Any) -> Any:
    answer = call.hand_over(function, *arguments)
    call.handed = call.received = False  # it has still to go somewhere
    return answer


def _texts(dumps: Callable[..., Any], values: Dict[str, Any]) -> Dict[str, Any]:
    return {key: dumps(value) for key, value in values.items()}
