# SPDX-License-Identifier: Apache-2.0
"""Wraps the methods of wandb's `Run` class that log, define, summarize and finish.

It connects them with the recorder and the step fix. It must never change what a wrapped method
returns or raises, nor hide a keyword of it that only a newer wandb knows.
"""

from __future__ import annotations

import atexit
import functools
import os
from typing import Any, Callable, Dict, NamedTuple, Optional

from primus_lens_hook import bypass, contract, settings
from primus_lens_hook.fast_path import with_fast_path
from primus_lens_hook.recording import status
from primus_lens_hook.recording.recorder import Recorder
from primus_lens_hook.step_fix.limits import Limits
from primus_lens_hook.step_fix.manager import StepFix
from primus_lens_hook.step_fix.wandb_run import Methods
from primus_lens_hook.tensorboard import sync
from primus_lens_hook.wandb_step import current_step
from primus_lens_hook.wrapping import is_wrapped, rebind_live_run, wrap

# The public one, the inner one that `with` calls, and the one that some versions call at exit for
# a run that was not finished. Not each wandb has each of them.
FINISHING = ("finish", "_finish", "_atexit_cleanup")


class Hook(NamedTuple):
    """What the patched methods call; one per process, also when wandb is imported again."""

    recorder: Recorder
    step_fix: StepFix


# Once per process, not per import of wandb: a second recorder could not lock the rank's file, and
# would write one of its own.
@functools.lru_cache(maxsize=None)
def the_hook() -> Hook:
    """The hook of this process, made at the first call."""
    chosen = settings.load(os.environ)
    mark = {contract.ROW_MARK: True} if chosen.mark_rows else {}
    columns: Dict[str, Any] = {}  # system metrics that each row of W&B gets
    limits = Limits(keep_duplicates=chosen.keep_duplicates)
    step_fix = StepFix(limits, columns, mark, chosen.step_fix)
    recorder = Recorder(chosen, columns, step_fix.counts_of)
    # atexit runs what was registered last first. wandb registers its own at `init`, later: ours
    # runs after it, when exit codes are known.
    atexit.register(recorder.exiting)
    return Hook(recorder, step_fix)


def apply(module: Any, hook: Optional[Hook] = None) -> None:
    """Patch the module `wandb.sdk.wandb_run`. Idempotent."""
    hook = hook or the_hook()
    run_class = getattr(module, "Run", None)
    if run_class is None or not callable(getattr(run_class, "log", None)):
        hook.recorder.report(status.DECLINED, "this wandb has no Run.log")
        return
    # The class, not the module: `wandb.log` is a stub that `wandb.init` rebinds to the run's bound
    # method. And `_log`, which `log` ends in: `wandb.watch` and the mirror of tensorboard call it
    # alone. wandb 0.12.0 has `log` only.
    logging = "_log" if hasattr(run_class, "_log") else "log"
    if is_wrapped(getattr(run_class, logging)):
        return
    _patch_steps(run_class, logging, hook.step_fix)
    wrap(run_class, logging, _observed, hook)
    if logging != "log":
        bypass.record_ignored_calls_of_children(run_class, hook.recorder)
    wrap(run_class, "_finish" if hasattr(run_class, "_finish") else "finish", _noting_finish, hook)
    globals_module = getattr(module, "module", None)  # wandb.sdk.lib.module
    bypass.record_disabled_runs(globals_module, run_class, hook.recorder)
    sync.record_synced(run_class, hook.recorder, hook.step_fix.newest_step)
    rebind_live_run()
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
        # object has a __getstate__ of its own, since Python 3.11: to wrap that one would give a
        # wandb without one a method that it does not have, and change what pickling does.
        if name in vars(run_class) or hasattr(run_class, name) > hasattr(object, name):
            wrap(run_class, name, wrapper, step_fix)
    # A copy of the property with another getter: its docstring stays for whoever reads it.
    step = vars(run_class).get("step")
    if isinstance(step, property) and step.fget is not None:
        run_class.step = step.getter(_native_step(step.fget, step_fix))


def _observed(native: Callable[..., Any], hook: Hook) -> Callable[..., Any]:
    recorder, step_fix = hook

    # functools.wraps, here and below: frameworks look at signatures of wandb's methods, and
    # inspect.signature follows __wrapped__.
    @functools.wraps(native)
    def log(
        self: Any, data: Any, step: Any = None, commit: Any = None, *more: Any, **named: Any
    ) -> Any:
        row, keys = recorder.snapshot(data)
        if row is None:
            return native(self, data, step, commit, *more, **named)
        # Before the record: the step of the record is the training step that it finds out.
        known = step_fix.call(self, row, keys, step, commit)
        if known is None:
            recorder.record(self, row, step)
            return native(self, data, step, commit, *more, **named)
        guard, call, is_served = known
        training_step = call.training_step
        if training_step is None:
            training_step = sync.newest_step(self)
        if training_step is None:  # nothing but wandb's counter is known
            training_step = current_step(self)
        # Before wandb: native wandb hands the row to another process and returns, and SIGKILL then
        # loses what that process has not written. Measured: 343 rows of 400, against 400 lines.
        recorder.record(self, call.unwrapped, training_step, call.late)
        # An argument that this wandb has and we do not know, as `sync` once was: what it means for
        # the row's step nobody knows, so the call is wandb's.
        if is_served and not named:
            return guard.log(call)
        # A row without values only ends the open one. With a column of ours it would be a row.
        columns = guard.columns() if row else {}
        answer = native(self, {**row, **columns}, step, commit, *more, **named)
        guard.note_unserved(call)
        return answer

    return with_fast_path(log, recorder, step_fix)


def _noting_finish(native: Callable[..., Any], hook: Hook) -> Callable[..., Any]:
    @functools.wraps(native)
    def finish(self: Any, *args: Any, **kwargs: Any) -> Any:
        # finally: `finish` may raise (a KeyboardInterrupt, a timeout of the upload). The run has
        # ended all the same, and the exporter would show it as running for ever.
        try:
            return native(self, *args, **kwargs)
        finally:
            sync.finished(self)
            hook.recorder.finished(self)
            hook.step_fix.finished(self)

    return finish


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
    def _summary_update_callback(self: Any, record: Any, *args: Any, **kwargs: Any) -> Any:
        guard = step_fix.of(self)
        if guard is not None:
            guard.note_summary_write(record)
        return native(self, record, *args, **kwargs)

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
        return shown if guard is None else guard.summary(shown)

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
