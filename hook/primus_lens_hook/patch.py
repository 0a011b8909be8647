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

from primus_lens_hook import contract, settings
from primus_lens_hook.recording import status
from primus_lens_hook.recording.recorder import Recorder
from primus_lens_hook.step_fix.limits import Limits
from primus_lens_hook.step_fix.manager import StepFix
from primus_lens_hook.step_fix.wandb_run import Methods
from primus_lens_hook.training_step import TrainingStep
from primus_lens_hook.wandb_step import as_integer, current_step

FINISHING = ("finish", "_finish", "_atexit_cleanup")


class Hook(NamedTuple):
    """What the patched methods call; one per process, also when wandb is imported again."""

    recorder: Recorder
    step_fix: StepFix
    columns: Dict[str, Any]  # of ours, on every row that W&B gets: the sampler's
    mark: Dict[str, Any]  # a column on rows that carry no step of ours either


@functools.lru_cache(maxsize=None)
def the_hook() -> Hook:
    """Made when it is first asked for."""
    chosen = settings.load(os.environ)
    mark = {contract.ROW_MARK: True} if chosen.mark_rows else {}
    columns: Dict[str, Any] = {}
    limits = Limits(keep_duplicates=chosen.keep_duplicates)
    step_fix = StepFix(limits, columns, mark, chosen.step_fix)
    recorder = Recorder(chosen, columns, step_fix.counts_of)
    # wandb registers its own at init, later: ours runs after it, when exit codes are known.
    atexit.register(recorder.exiting)
    return Hook(recorder, step_fix, columns, mark)


def apply(module: Any, hook: Optional[Hook] = None) -> None:
    """Patch `wandb.sdk.wandb_run`, freshly executed or long loaded. Idempotent."""
    hook = hook or the_hook()
    run_class = getattr(module, "Run", None)
    if run_class is None or not callable(getattr(run_class, "log", None)):
        hook.recorder.report(status.DECLINED, "this wandb has no Run.log")
        return
    logging = "_log" if hasattr(run_class, "_log") else "log"
    if hasattr(getattr(run_class, logging), "primus_lens_native"):
        return
    _patch_steps(run_class, logging, hook.step_fix)
    _wrap(run_class, logging, _observed, hook)
    if logging != "log" and hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=lambda: _observe_what_is_ignored(run_class, hook))
    _wrap(run_class, "_finish" if hasattr(run_class, "_finish") else "finish", _noting_finish, hook)
    globals_module = getattr(module, "module", None)  # wandb.sdk.lib.module
    if globals_module is not None and hasattr(globals_module, "set_global"):
        _wrap(globals_module, "set_global", _catching_disabled, (hook, run_class))
    _rebind_live_run()
    hook.recorder.report(status.PATCHED)


def _patch_steps(run_class: Any, logging: str, step_fix: StepFix) -> None:
    """Wrap everything that has to see the waiting rows in W&B before it runs."""
    step_fix.adopt(Methods(getattr(run_class, logging), run_class.define_metric))
    wrappers = {
        "define_metric": _noting_definition,
        "_summary_update_callback": _noting_summary,
        "_summary_get_current_summary_callback": _completing_summary,
        "__getstate__": _noting_pickling,
        **dict.fromkeys(FINISHING, _flushing),
    }
    for name, wrapper in wrappers.items():
        # object has a __getstate__ of its own, since Python 3.11.
        if name in vars(run_class) or hasattr(run_class, name) > hasattr(object, name):
            _wrap(run_class, name, wrapper, step_fix)
    step = vars(run_class).get("step")
    if isinstance(step, property) and step.fget is not None:
        run_class.step = step.getter(_native_step(step.fget, step_fix))


def _wrap(owner: Any, name: str, wrapper: Callable[..., Any], argument: Any) -> None:
    native = getattr(owner, name)
    wrapped = wrapper(native, argument)
    wrapped.primus_lens_native = native
    setattr(owner, name, wrapped)


def _observed(native: Callable[..., Any], hook: Hook) -> Callable[..., Any]:
    recorder, step_fix, columns, mark = hook

    @functools.wraps(native)
    def log(
        self: Any, data: Any, step: Any = None, commit: Any = None, *more: Any, **named: Any
    ) -> Any:
        row = recorder.snapshot(data)
        if row is None:
            return native(self, data, step, commit, *more, **named)
        known = step_fix.call(self, row, step, commit)
        if known is None:
            recorder.record(self, row, step)
            return native(self, data, step, commit, *more, **named)
        guard, call, is_served = known
        training_step = call.training_step
        if training_step is None:  # nothing but wandb's counter is known
            training_step = current_step(self)
        numbers = call.keys if call.only_numbers else None
        recorder.record(self, row, training_step, call.late, numbers)
        # An argument that this wandb has and we do not know: the call is wandb's.
        if is_served and not named:
            return guard.log(call)
        # A row without values only ends the open one: it stays without.
        marked = {**row, **mark, **columns} if row else row
        answer = native(self, marked, step, commit, *more, **named)
        guard.passed(call)
        return answer

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
    steps = TrainingStep()

    @functools.wraps(native)
    def log(self: Any, data: Any, *args: Any, **kwargs: Any) -> Any:
        calling.arrived = False
        answer = native(self, data, *args, **kwargs)
        if not calling.arrived:
            _record(hook.recorder, self, data, args, kwargs, steps)
        return answer

    return log


def _observed_disabled(run: Any, native: Callable[..., Any], hook: Hook) -> Any:
    """The same for a run whose `log` is its own, and whose steps nobody counts."""
    steps = TrainingStep()

    @functools.wraps(native)
    def log(data: Any, *args: Any, **kwargs: Any) -> Any:
        _record(hook.recorder, run, data, args, kwargs, steps)
        return native(data, *args, **kwargs)

    log.primus_lens_native = native  # type: ignore[attr-defined]
    return log


def _record(
    recorder: Recorder, run: Any, data: Any, args: Any, kwargs: Any, steps: TrainingStep
) -> None:
    """Record a call that wandb's counter has no part in."""
    row = recorder.snapshot(data)
    if row is not None:
        explicit, keys = as_integer(args[0] if args else kwargs.get("step")), tuple(row)
        shown, step, late = steps.of(explicit, row, keys)
        if shown is not None:
            steps.note(shown, keys)
        recorder.record(run, row, step, late)


def _noting_finish(native: Callable[..., Any], hook: Hook) -> Callable[..., Any]:
    @functools.wraps(native)
    def finish(self: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            return native(self, *args, **kwargs)
        finally:
            hook.recorder.finished(self)
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
    def define_metric(self: Any, *args: Any, **kwargs: Any) -> Any:
        guard = step_fix.of(self)
        if guard is not None:
            guard.flush_whole()
        defined = native(self, *args, **kwargs)
        if guard is not None:
            guard.defined(*args, **kwargs)
        return defined

    return define_metric


def _noting_summary(native: Callable[..., Any], step_fix: StepFix) -> Callable[..., Any]:
    @functools.wraps(native)
    def _summary_update_callback(self: Any, record: Any, *args: Any, **kwargs: Any) -> Any:
        guard = step_fix.of(self)
        if guard is not None:
            guard.summary_written(record)
        return native(self, record, *args, **kwargs)

    return _summary_update_callback


def _completing_summary(native: Callable[..., Any], step_fix: StepFix) -> Callable[..., Any]:
    @functools.wraps(native)
    def _summary_get_current_summary_callback(self: Any, *args: Any, **kwargs: Any) -> Any:
        guard = step_fix.of(self)
        if guard is not None:
            guard.flush_window()
        shown = native(self, *args, **kwargs)
        return shown if guard is None else guard.summary(shown)

    return _summary_get_current_summary_callback


def _native_step(native: Callable[..., Any], step_fix: StepFix) -> Callable[..., Any]:
    @functools.wraps(native)
    def step(self: Any) -> Any:
        guard = step_fix.of(self)
        return native(self) if guard is None else guard.step(lambda: native(self))

    return step


def _noting_pickling(native: Callable[..., Any], step_fix: StepFix) -> Callable[..., Any]:
    """A pickled run goes to another process, which will log to it: spawn, forkserver, Ray."""

    @functools.wraps(native)
    def getstate(self: Any, *args: Any, **kwargs: Any) -> Any:
        guard = step_fix.of(self)
        if guard is not None:
            guard.share()
        return native(self, *args, **kwargs)

    return getstate


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
