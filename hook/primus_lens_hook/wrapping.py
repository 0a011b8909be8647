# SPDX-License-Identifier: Apache-2.0
"""Puts wrappers in the place of wandb's functions, and in that of names bound to them.

It must never lose the native function: a wrapper carries it as `primus_lens_native`.
"""

from __future__ import annotations

import sys
from typing import Any, Callable


def wrap(owner: Any, name: str, wrapper: Callable[..., Any], argument: Any) -> None:
    """Replace `owner.name` by `wrapper(native, argument)`."""
    native = getattr(owner, name)
    wrapped = wrapper(native, argument)
    # Also the mark that it is wrapped. On the function, not in a table of ours: a reload of
    # wandb makes a new class without the mark, which then is patched as it should be.
    wrapped.primus_lens_native = native
    setattr(owner, name, wrapped)


def is_wrapped(function: Any) -> bool:
    """Whether it is one of our wrappers."""
    return hasattr(function, "primus_lens_native")


def rebind_live_run() -> None:
    """Have `wandb.log` and `wandb.define_metric` of a run that has begun pass through us."""
    # `wandb.init` has bound the run's methods of that moment to the module's names: to patch the
    # class afterwards changes run.log, and not wandb.log.
    wandb = sys.modules.get("wandb")
    run = getattr(wandb, "run", None)
    for name in ("log", "define_metric"):
        # Only such a method: what else a wandb may have there goes through the class by itself.
        bound_to = getattr(getattr(wandb, name, None), "__self__", None)
        if run is not None and bound_to is run and hasattr(run, name):
            setattr(wandb, name, getattr(run, name))
