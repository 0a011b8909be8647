# SPDX-License-Identifier: Apache-2.0
"""Values that a later call overwrites in an open row, where duplicates are to be kept.

It must never change the row: native wandb's has the newer values.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Dict, List, Optional

from primus_lens_hook.step_fix.log_call import LogCall
from primus_lens_hook.step_fix.metric_definitions import carried
from primus_lens_hook.step_fix.row import Row, plain


def overwritten(row: Row, call: LogCall, axes: Iterable[str]) -> Optional[List[LogCall]]:
    """The older values of the call's keys, each as part of the call that brought it.

    None where one of them cannot be kept (media): then the newer ones are to be apart. An
    axis is overwritten as in native wandb, for all values of the row.
    """
    again = [key for key in row.repeated(call.values, call.priority) if key in row.calls]
    older: Dict[LogCall, Dict[str, Any]] = {}
    for key in again:
        if key not in axes:
            # What is no plain value (media, lists) may have been changed since by its owner.
            value = plain(row.calls[key].unwrapped[key])
            if value is None:
                return None
            older.setdefault(row.calls[key], {})[key] = value
    return [_part_of(known, values, axes) for known, values in older.items()]


def _part_of(call: LogCall, values: Dict[str, Any], axes: Iterable[str]) -> LogCall:
    # At the axes, the step and the age of its own call. Those of the second call would draw it at
    # another place, and have the summary show it as the newest.
    part = LogCall(values, tuple(values), None, None, None)
    part.priority = call.priority
    part.training_step, part.number = call.training_step, call.number
    # As if filled in: the row has the newer values of axes, which the summary has to show.
    part.synced = {**(call.synced or {}), **carried(call.values, axes)}
    return part
