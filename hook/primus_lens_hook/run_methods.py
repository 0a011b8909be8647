# SPDX-License-Identifier: Apache-2.0
"""Wraps methods of wandb's `Run` class so that waiting rows are sent before they run.

The methods define metrics, finish, read or write the summary, and pickle the run. A wrapper must
never change what its method returns or raises.
"""

from __future__ import annotations

import functools
from typing import Any, Callable

from primus_lens_hook.step_fix.manager import StepFix
from primus_lens_hook.wandb_names import FINISHING, lack_of_method
from primus_lens_hook.wrapping import wrap


def wrap_for_step_fix(run_class: Any, step_fix: StepFix) -> None:
    """Wrap everything that has to see the waiting rows in W&B before it runs."""
    wrappers = {
        "define_metric": _noting_definition,
        "_summary_update_callback": _noting_summary,
        "_summary_get_current_summary_callback": _completing_summary,
        "__getstate__": _noting_pickling,
        **dict.fromkeys(FINISHING, _flushing),
    }
    for name, wrapper in wrappers.items():
        if not lack_of_method(run_class, name):
            wrap(run_class, name, wrapper, step_fix)
    # A copy of the property with another getter: its docstring stays for whoever reads it.
    step = run_class.step
    run_class.step = step.getter(_native_step(step.fget, step_fix))


def _flushing(native: Callable[..., Any], step_fix: StepFix) -> Callable[..., Any]:
    @functools.wraps(native)
    def finish(self: Any, *args: Any, **kwargs: Any) -> Any:
        # All runs, not `self` alone: a signal handler that finishes one may go on to os._exit,
        # which skips atexit, and then the rows of the others would be lost.
        step_fix.flush()
        return native(self, *args, **kwargs)

    return finish


def _noting_definition(native: Callable[..., Any], step_fix: StepFix) -> Callable[..., Any]:
    @functools.wraps(native)
    def define_metric(self: Any, *args: Any, **kwargs: Any) -> Any:
        # Definitions hold for rows that come after them: what waits was logged before.
        guard = step_fix.of(self)
        if guard is not None:
            guard.flush_whole()
        defined = native(self, *args, **kwargs)
        if guard is not None:
            guard.note_definition(*args, **kwargs)
        return defined

    return define_metric


def _noting_summary(native: Callable[..., Any], step_fix: StepFix) -> Callable[..., Any]:
    @functools.wraps(native)
    def _summary_update_callback(self: Any, *args: Any, **kwargs: Any) -> Any:
        guard = step_fix.of(self)
        if guard is not None:
            # The only argument, by whatever name; anything else is no record, and found to be none.
            guard.note_summary_write(next(iter((*args, *kwargs.values())), None))
        return native(self, *args, **kwargs)

    return _summary_update_callback


def _completing_summary(native: Callable[..., Any], step_fix: StepFix) -> Callable[..., Any]:
    @functools.wraps(native)
    def _summary_get_current_summary_callback(self: Any, *args: Any, **kwargs: Any) -> Any:
        guard = step_fix.of(self)
        if guard is not None:
            # A script that logs `val` and then reads run.summary["val"] gets a KeyError if the
            # row still waits here. Native wandb has it by then.
            guard.flush_window()
        shown = native(self, *args, **kwargs)
        return guard.summary(shown) if guard is not None and type(shown) is dict else shown

    return _summary_get_current_summary_callback


def _native_step(native: Callable[..., Any], step_fix: StepFix) -> Callable[..., Any]:
    @functools.wraps(native)
    def step(self: Any) -> Any:
        guard = step_fix.of(self)
        return native(self) if guard is None else guard.step(lambda: native(self))

    return step


def _noting_pickling(native: Callable[..., Any], step_fix: StepFix) -> Callable[..., Any]:
    # A pickled run goes to another process, which will log to it: spawn, forkserver, Ray. There is
    # no other sign of it in this process, and wandb's counter is not ours alone from then on.

    @functools.wraps(native)
    def getstate(self: Any, *args: Any, **kwargs: Any) -> Any:
        guard = step_fix.of(self)
        if guard is not None:
            guard.share()
        return native(self, *args, **kwargs)

    return getstate
