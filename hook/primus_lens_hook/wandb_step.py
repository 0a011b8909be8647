# SPDX-License-Identifier: Apache-2.0
"""wandb's step: the counter that it keeps for each run, and how it reads a caller's step.

It must never ask wandb's service, which may be slow or gone.
"""

from __future__ import annotations

import operator
from typing import Any, Optional, Tuple

from primus_lens_hook.interruption import is_interruption

INT64 = 1 << 63


def current_step(run: Any) -> Any:
    """Wandb's own counter of the run's open row, or None for a run that has none."""
    # Not `run.step`: in wandb 0.31 that property sends a request to the service, and waits for the
    # answer for up to 30 seconds.
    owner, name = counter_of(run)
    return getattr(owner, name, None)


def counter_of(run: Any) -> Tuple[Any, str]:
    """Where a run has its counter: an object and the name of its attribute."""
    # `_local_step` since 0.2x, `_step` before, `history._step` up to 0.12. None of them is public:
    # a wandb that names it otherwise gives no counter, and no step is known for such rows.
    for name in ("_local_step", "_step"):
        if getattr(run, name, None) is not None:
            return run, name
    return getattr(run, "history", None), "_step"


def commits(step: Any, commit: Any) -> bool:
    """Whether such a call ends the open row, by wandb's rule."""
    # Truth, not `is True`: wandb tests `commit` so too.
    return bool(commit) or (step is None and commit is None)


def as_integer(step: Any) -> Optional[int]:
    """A step as wandb will read it; None when there is none, or none to be read."""
    if step is None:  # as most often
        return None
    # wandb refuses what has more than 64 bits.
    if type(step) is int:
        return step if -INT64 <= step < INT64 else None
    # 5.0 is a step to frameworks. __index__ as protobuf does: numpy and torch integers are steps,
    # strings of digits are not.
    try:
        if isinstance(step, float):
            number = float.__float__(step)
            return as_integer(int(number)) if number.is_integer() else None
        return as_integer(int(operator.index(step)))  # up to 3.9 the index of True is True
    except Exception as error:  # an object's own __index__ may raise anything
        if is_interruption(error):
            raise
        return None
