# SPDX-License-Identifier: Apache-2.0
"""The public API of the step fix: W&B gets the rows that it would drop.

With the hook in place nothing here is needed; `wandb.log` is repaired already. This module
is for code that wants more: priorities for its values, the training step for rows that name
none, the counters. It must never raise for what a training logs.

    from wandb_step_fix import patch_wandb_log, safe_wandb_log
    patch_wandb_log()
    safe_wandb_log({"loss": 0.5}, step=10, source="trainer", priority=0)

Each decision is logged at DEBUG by the logger `wandb_step_fix`. The variable
`WANDB_STEP_FIX_ENABLED=false` leaves everything to wandb.
"""

from __future__ import annotations

import contextlib
import logging
import sys
from typing import Any, ContextManager, Dict, Optional

from primus_lens_hook import boot, patch
from primus_lens_hook.interruption import is_interruption
from primus_lens_hook.step_fix.log_call import DEFAULT_PRIORITY
from primus_lens_hook.step_fix.manager import StepFix
from primus_lens_hook.wandb_step import as_integer

__all__ = [
    "WandBStepManager",
    "finalize_wandb_logging",
    "get_step_manager",
    "patch_wandb_log",
    "safe_wandb_log",
    "unpatch_wandb_log",
    "update_training_step",
]

# The one module of the hook that logs: whoever imports it has asked for it, and may configure it.
logger = logging.getLogger("wandb_step_fix")
# Whether the user has called unpatch_wandb_log(): else any later call of this module, such as
# get_stats(), would install the finder again.
_unpatched = False
_manager: Optional[WandBStepManager] = None


class WandBStepManager:
    """A view of the process's step fix. There is one of these; a new view sets its bounds.

    `buffer_size` is how many rows of a run may wait, `flush_interval` for how many seconds.
    """

    def __init__(self, buffer_size: int = 100, flush_interval: float = 2.0) -> None:
        global _manager
        # A mistake of the program's author, found when it is written. Nothing else here raises.
        if buffer_size < 0 or flush_interval < 0:
            raise ValueError("buffer_size and flush_interval must not be negative")
        step_fix = _step_fix()
        if step_fix is not None:
            step_fix.limit(buffer_size=buffer_size, flush_interval=flush_interval)
        _manager = self

    def update_step(self, step: int, source: str = "unknown") -> None:
        """Tell the training's step, for rows that name none."""
        update_training_step(step, source)

    def get_stats(self) -> Dict[str, int]:
        """`total_logs`, `step_conflicts`, `dropped_logs`, `successful_flushes` of all runs."""
        step_fix = _step_fix()
        counts = {} if step_fix is None else step_fix.counts()
        return {
            "total_logs": counts.get("logs", 0),
            "dropped_logs": counts.get("dropped", 0),
            "step_conflicts": counts.get("conflicts", 0),
            "successful_flushes": counts.get("flushes", 0),
        }


def get_step_manager() -> WandBStepManager:
    """The newest manager, or one with the usual bounds."""
    return _manager or WandBStepManager()


def patch_wandb_log() -> None:
    """Have every `wandb.log` repaired from now on. Again, or with the hook, it changes nothing."""
    global _unpatched
    _unpatched = False
    step_fix = _step_fix()
    if step_fix is None:
        logger.info("switched off by WANDB_STEP_FIX_ENABLED, or declined for this wandb")
    else:
        step_fix.enable()


def unpatch_wandb_log() -> None:
    """Send what waits, and leave every `wandb.log` to wandb from now on."""
    global _unpatched
    step_fix = _step_fix()
    _unpatched = True
    if step_fix is not None:
        step_fix.disable()


def safe_wandb_log(
    data: Dict[str, Any],
    step: Optional[int] = None,
    source: str = "unknown",
    priority: int = DEFAULT_PRIORITY,
) -> None:
    """`wandb.log` that never raises: what wandb refuses is a warning of the logger.

    On one key at one step the value of the lower `priority` wins: 0 for the trainer, 1 for
    evaluation, 10 for debugging. Without a `step` it is that of `update_training_step`.
    """
    step_fix = _step_fix()
    # Not `import wandb`: it takes seconds, and without a run there is nothing to log to.
    run = getattr(sys.modules.get("wandb"), "run", None)
    if run is None:
        logger.debug("%s: no run, nothing logged", source)
        return
    if step is None and step_fix is not None:
        step = step_fix.training_step
    ranked: ContextManager[None] = contextlib.nullcontext()
    if step_fix is not None:
        ranked = step_fix.priority(priority)
    try:
        with ranked:
            run.log(data, step=step)
    except Exception as error:
        if is_interruption(error):
            raise
        logger.warning("%s: not logged at step %s: %r", source, step, error)


def update_training_step(step: int, source: str = "unknown") -> None:
    """Tell the training's step, for rows that name none."""
    number = as_integer(step)
    step_fix = _step_fix()
    if number is None:
        logger.warning("%s: %r is no step", source, step)
    elif step_fix is not None:
        step_fix.set_training_step(number)


def finalize_wandb_logging() -> None:
    """Send everything that waits. `wandb.finish` and the interpreter's exit do so too."""
    step_fix = _step_fix()
    if step_fix is not None:
        step_fix.flush()


def _step_fix() -> Optional[StepFix]:
    """The process's step fix, in place; None where it is switched off."""
    # Without the hook too (a plain `pip install`, PRIMUS_LENS_WANDB_HOOK=false): who calls this
    # module wants the step fix, and gets it without the records.
    step_fix = patch.the_hook().step_fix
    if not step_fix.allowed:
        return None
    if not _unpatched:
        boot.install()
    return step_fix
