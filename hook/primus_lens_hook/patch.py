# SPDX-License-Identifier: Apache-2.0
"""Wraps the methods of wandb's `Run` class that log, define, summarize and finish.

The class is patched, not the module: `wandb.log` is a stub that `wandb.init` rebinds to
the run's bound method. Of the two methods that log it is the inner one, `_log`, which
`wandb.watch` and the tensorboard mirror call too; wandb 0.12.0 has `log` alone.

Disabled runs bypass the class (an object of their own up to 0.1x, a subclass since);
`set_global`, through which `init` publishes each run, is where they are seen.
"""

from __future__ import annotations

import atexit
import functools
import os
import sys
import threading
from typing import Any, Callable, Dict, NamedTuple, Optional, Tuple

from primus_lens_hook import contract, outcome, settings
from primus_lens_hook.counter import current_step
from primus_lens_hook.recorder import Recorder
from primus_lens_hook.steps.limits import Limits
from primus_lens_hook.steps.native import Methods
from primus_lens_hook.steps.process import StepFix

FINISHING = ("finish", "_finish", "_atexit_cleanup")


class Hook(NamedTuple):
    """What the patched methods call; one per process, also when wandb is imported again."""

    recorder: Recorder
    step_fix: Optional[StepFix]  # None: switched off
    columns: Dict[str, Any]  # of ours, on every row that W&B gets; the sampler's change


@functools.lru_cache(maxsize=None)
def the_hook() -> Hook:
    """Made when it is first asked for."""
    chosen = settings.load(os.environ)
    columns = {contract.ROW_MARK: True} if chosen.mark_rows else {}
    limits = Limits(keep_duplicates=chosen.keep_duplicates)
    step_fix = StepFix(limits, columns) if chosen.step_fix else None
    recorder = Recorder(chosen, columns, step_fix.counts_of if step_fix else None)
    # wandb registers its own at init, later: ours runs after it, when exit codes are known.
    atexit.register(recorder.exiting)
    return Hook(recorder, step_fix, columns)


def apply(module: Any, hook: Optional[Hook] = None) -> None:
    """Patch `wandb.sdk.wandb_run`, freshly executed or long loaded. Idempotent."""
    hook = hook or the_hook()
    run_class = getattr(module, "Run", None)
    if run_class is None or not callable(getattr(run_class, "log", None)):
        hook.recorder.report(outcome.DECLINED, "this wandb has no Run.log")
        return
    logging = "_log" if hasattr(run_class, "_log") else "log"
    if hasattr(getattr(run_class, logging), "primus_lens_native"):
        return
    if hook.step_fix is not None:
        _patch_steps(run_class, logging, hook.step_fix)
    _wrap(run_class, logging, _observed, hook)
    if logging != "log" and hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=lambda: _observe_what_is_ignored(run_class, hook))
    _wrap(run_class, "_finish" if hasattr(run_class, "_finish") else "finish", _noting_finish, hook)
    globals_module = getattr(module, "module", None)  # wandb.sdk.lib.module
    if globals_module is not None and hasattr(globals_module, "set_global"):
        _wrap(globals_module, "set_global", _catching_disabled, (hook, run_class))
    _rebind_live_run()
    hook.recorder.report(outcome.PATCHED)


def _patch_steps(run_class: Any, logging: str, step_fix: StepFix) -> None:
    """Wrap everything that has to see the waiting rows in W&B before it runs."""
    define_metric = run_class.define_metric
    step_fix.adopt(Methods(getattr(run_class, logging), define_metric))
    _wrap(run_class, "define_metric", _noting_definition, step_fix)
    if hasattr(run_class, "_summary_update_callback"):
        _wrap(run_class, "_summary_update_callback", _noting_summary, step_fix)
    for name in FINISHING:
        if hasattr(run_class, name):
            _wrap(run_class, name, _flushing, step_fix)


def _wrap(owner: Any, name: str, wrapper: Callable[..., Any], argument: Any) -> None:
    native = getattr(owner, name)
    wrapped = wrapper(native, argument)
    wrapped.primus_lens_native = native
    setattr(owner, name, wrapped)


def _observed(native: Callable[..., Any], hook: Hook) -> Callable[..., Any]:
    recorder, step_fix, columns = hook

    @functools.wraps(native)
    def log(self: Any, data: Any, step: Any = None, commit: Any = None, *more: Any) -> Any:
        row = recorder.snapshot(data)
        if row is None:
            return native(self, data, step, commit, *more)
        ours = None if step_fix is None else step_fix.call(self, row, step, commit)
        if step_fix is None or ours is None:
            recorder.record(self, row, current_step(self) if step is None else step)
            return native(self, _marked(row, columns), step, commit, *more)
        steps, call = ours
        known = step if call.logical is None else call.logical
        recorder.record(self, row, current_step(self) if known is None else known)
        return steps.log(call)

    return log


def _observe_what_is_ignored(run_class: Any, hook: Hook) -> None:
    """In a forked child: `log` of a wandb up to 0.12 does not get as far as `_log` there."""
    if not hasattr(run_class.log, "primus_lens_native"):
        calling = threading.local()
        _wrap(run_class, "_log", _arriving, calling)
        _wrap(run_class, "log", _observed_if_ignored, (hook, calling))
        _rebind_live_run()


def _arriving(native: Callable[..., Any], calling: Any) -> Callable[..., Any]:
    @functools.wraps(native)
    def _log(*args: Any, **kwargs: Any) -> Any:
        calling.arrived = True
        return native(*args, **kwargs)

    return _log


def _observed_if_ignored(native: Callable[..., Any], to: Tuple[Hook, Any]) -> Callable[..., Any]:
    hook, calling = to

    @functools.wraps(native)
    def log(self: Any, data: Any, *args: Any, **kwargs: Any) -> Any:
        calling.arrived = False
        answer = native(self, data, *args, **kwargs)
        if not calling.arrived:
            _record(hook.recorder, self, data, args, kwargs)
        return answer

    return log


def _observed_disabled(run: Any, native: Callable[..., Any], hook: Hook) -> Any:
    """The same for a run whose `log` is its own, and whose steps nobody counts."""

    @functools.wraps(native)
    def log(data: Any, *args: Any, **kwargs: Any) -> Any:
        _record(hook.recorder, run, data, args, kwargs)
        return native(data, *args, **kwargs)

    log.primus_lens_native = native  # type: ignore[attr-defined]
    return log


def _record(recorder: Recorder, run: Any, data: Any, args: Any, kwargs: Any) -> None:
    """Record a call that wandb's counter has no part in."""
    row = recorder.snapshot(data)
    if row is not None:
        recorder.record(run, row, args[0] if args else kwargs.get("step"))


def _marked(row: Dict[str, Any], columns: Dict[str, Any]) -> Dict[str, Any]:
    return {**row, **columns} if row else row  # an empty row commits; it stays empty


def _noting_finish(native: Callable[..., Any], hook: Hook) -> Callable[..., Any]:
    @functools.wraps(native)
    def finish(self: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            return native(self, *args, **kwargs)
        finally:
            hook.recorder.finished(self)
            if hook.step_fix is not None:
                hook.step_fix.finished(self)

    return finish


def _flushing(native: Callable[..., Any], step_fix: StepFix) -> Callable[..., Any]:
    @functools.wraps(native)
    def finish(self: Any, *args: Any, **kwargs: Any) -> Any:
        step_fix.flush()
        return native(self, *args, **kwargs)

    return finish


def _noting_definition(native: Callable[..., Any], step_fix: StepFix) -> Callable[..., Any]:
    @functools.wraps(native)
    def define_metric(
        self: Any, name: Any, step_metric: Any = None, *args: Any, **kwargs: Any
    ) -> Any:
        steps = step_fix.of(self)
        if steps is None:
            return native(self, name, step_metric, *args, **kwargs)
        steps.flush()
        defined = native(self, name, step_metric, *args, **kwargs)
        steps.defined(name, step_metric, *args, **kwargs)
        return defined

    return define_metric


def _noting_summary(native: Callable[..., Any], step_fix: StepFix) -> Callable[..., Any]:
    @functools.wraps(native)
    def _summary_update_callback(self: Any, record: Any) -> Any:
        steps = step_fix.of(self)
        if steps is not None:
            steps.summary_written(record)
        return native(self, record)

    return _summary_update_callback


def _catching_disabled(native: Callable[..., Any], to: Tuple[Hook, Any]) -> Callable[..., Any]:
    hook, run_class = to

    @functools.wraps(native)
    def set_global(*args: Any, **kwargs: Any) -> Any:
        run, log = kwargs.get("run"), kwargs.get("log")
        bypasses = getattr(log, "__func__", None) is not run_class.log
        if run is not None and callable(log) and bypasses:
            # Callers use either wandb.log or run.log: both become the observed one.
            run.log = kwargs["log"] = _observed_disabled(run, log, hook)
        return native(*args, **kwargs)

    return set_global


def _rebind_live_run() -> None:
    """A run begun before the hook came left the module's functions bound to native methods."""
    wandb = sys.modules.get("wandb")
    run = getattr(wandb, "run", None)
    for name in ("log", "define_metric"):
        if run is not None and hasattr(run, name):
            setattr(wandb, name, getattr(run, name))
