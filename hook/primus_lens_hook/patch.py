# SPDX-License-Identifier: Apache-2.0
"""Patches wandb's `Run` class: the methods that log and finish here, the others by their parts.

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
from primus_lens_hook.fork_safe_lock import ForkSafeLock
from primus_lens_hook.interruption import is_interruption
from primus_lens_hook.recording import status
from primus_lens_hook.recording.recorder import Recorder
from primus_lens_hook.run_methods import wrap_for_step_fix
from primus_lens_hook.step_fix.limits import Limits
from primus_lens_hook.step_fix.manager import StepFix
from primus_lens_hook.tensorboard import sync
from primus_lens_hook.wandb_names import (
    DISABLED_RUNS,
    FINISH,
    FINISHING,
    NO_DICT,
    RECORDS,
    TENSORBOARD,
    WATCH,
    lack_of_method,
    lack_of_step_fix,
    logging_method,
    takes,
)
from primus_lens_hook.wandb_step import current_step
from primus_lens_hook.warn_once import describe
from primus_lens_hook.wrapping import is_wrapped, rebind_live_run, wrap

HOOK = "hook"


class Hook(NamedTuple):
    """What the patched methods call; one per process, also when wandb is imported again."""

    recorder: Recorder
    step_fix: StepFix


# While the hook is made, and while wandb is patched: one thread may import wandb while another one
# calls `wandb_step_fix`. Two hooks would write two files, two layers of wrappers each line twice.
_patching = ForkSafeLock()
_made: Dict[str, Hook] = {}


def the_hook() -> Hook:
    """The hook of this process, made at the first call."""
    return _patching.within(_the_hook)


def _the_hook() -> Hook:
    # Once per process, not per import of wandb: a second recorder could not lock the rank's file,
    # and would write one of its own. In one step: a signal handler comes past the lock.
    return _made.get(HOOK) or _made.setdefault(HOOK, _make_hook())


def _make_hook() -> Hook:
    chosen = settings.load(os.environ)
    mark = {contract.ROW_MARK: True} if chosen.mark_rows else {}
    columns: Dict[str, Any] = {}  # system metrics that each row of W&B gets
    limits = Limits(keep_duplicates=chosen.keep_duplicates)
    step_fix = StepFix(limits, columns, mark, chosen.step_fix)
    recorder = Recorder(chosen, columns, step_fix.counts_of)
    step_fix.report = recorder.decline
    # atexit runs what was registered last first. wandb registers its own at `init`, later: ours
    # runs after it, when exit codes are known.
    atexit.register(recorder.exiting)
    return Hook(recorder, step_fix)


def apply(module: Any, hook: Optional[Hook] = None) -> None:
    """Patch the module that has wandb's class `Run`. Idempotent."""
    _patching.within(_apply, module, hook or the_hook())


def _apply(module: Any, hook: Hook) -> None:
    # vars: a module may import its names when they are asked for, and nobody has asked.
    run_class = vars(module).get("Run")
    if not isinstance(run_class, type):
        _decline_all(hook, "no class Run")
        return
    try:
        _patch_class(run_class, module, hook)
    except Exception as error:  # a class that refuses it, perhaps
        if is_interruption(error):
            raise
        _decline_all(hook, describe(error))


def _decline_all(hook: Hook, lack: str) -> None:
    hook.step_fix.decline(lack)
    hook.recorder.decline(RECORDS, lack)
    hook.recorder.report(status.DECLINED, "this wandb: " + lack)


def _patch_class(run_class: Any, module: Any, hook: Hook) -> None:
    recorder, step_fix = hook
    # The class, not the module: `wandb.log` is a stub that `wandb.init` rebinds to the run's bound
    # method.
    logging, lack = logging_method(run_class)
    if not logging:
        _decline_all(hook, lack)
        return
    if is_wrapped(getattr(run_class, logging)):
        return
    if lack:
        recorder.decline(WATCH, lack)
    # Before anything is wrapped: a wrapper of a part that is declined would be in the way.
    lack = lack_of_step_fix(run_class, logging)
    if lack:
        step_fix.decline(lack)
    if lack != NO_DICT:
        step_fix.adopt(getattr(run_class, logging), getattr(run_class, "define_metric", None))
    # First: a class that refuses to be changed is left as it is.
    wrap(run_class, logging, _recorded if lack else _observed, hook)
    if not lack:
        wrap_for_step_fix(run_class, step_fix)
    if logging == "_log":
        bypass.record_ignored_calls_of_children(run_class, recorder)
    _patch_finish(run_class, hook)
    lack = bypass.record_disabled_runs(module, run_class, recorder)
    if lack:
        recorder.decline(DISABLED_RUNS, lack)
    lack = sync.record_synced(run_class, recorder, step_fix.newest_step)
    if lack:
        recorder.decline(TENSORBOARD, lack)
    rebind_live_run()
    recorder.report(status.PATCHED)


def _patch_finish(run_class: Any, hook: Hook) -> None:
    # The one that all others come to, if there is it: they return without having ended a run that
    # has ended.
    there = [name for name in FINISHING if not lack_of_method(run_class, name)]
    for name in ["_finish"] if "_finish" in there else there:
        wrap(run_class, name, _noting_finish, hook)
    if not there:
        hook.recorder.decline(FINISH, "no Run.finish")


def _observed(native: Callable[..., Any], hook: Hook) -> Callable[..., Any]:
    recorder, step_fix = hook

    # functools.wraps, here and below: frameworks look at signatures of wandb's methods, and
    # inspect.signature follows __wrapped__.
    @functools.wraps(native)
    def log(
        self: Any, data: Any, step: Any = None, commit: Any = None, *more: Any, **named: Any
    ) -> Any:
        row, keys = recorder.snapshot(data)
        # What wandb does not know either, it refuses, and such a call is no record.
        if (more or named) and not takes(native, self, data, step, commit, *more, **named):
            row = None
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
        if is_served and not (more or named):
            answer = guard.log(call)
            if answer is not None:
                guard.note_answer()
            return answer
        if is_served:
            guard.make_way((*more, *named))
        # A row without values only ends the open one. With a column of ours it would be a row.
        columns = guard.context.wandb.columns() if row else {}
        answer = native(self, {**row, **columns}, step, commit, *more, **named)
        guard.note_unserved(call)
        return answer

    return with_fast_path(log, recorder, step_fix)


def _recorded(native: Callable[..., Any], hook: Hook) -> Callable[..., Any]:
    """For a wandb whose steps cannot be repaired: the call is recorded and goes on as it came."""
    recorder, step_fix = hook

    @functools.wraps(native)
    def log(self: Any, *args: Any, **kwargs: Any) -> Any:
        row, keys = recorder.snapshot(args[0] if args else kwargs.get("data"))
        known = None
        if row is not None:
            step = args[1] if len(args) > 1 else kwargs.get("step")
            known = step_fix.call(self, row, keys, step, None)
            if known is not None:
                step, late = known[1].training_step, known[1].late
            else:
                late = False
            recorder.record(self, row, current_step(self) if step is None else step, late)
        answer = native(self, *args, **kwargs)
        if known is not None:
            known[0].note_unserved(known[1])
        return answer

    return log


def _noting_finish(native: Callable[..., Any], hook: Hook) -> Callable[..., Any]:
    @functools.wraps(native)
    def finish(self: Any, *args: Any, **kwargs: Any) -> Any:
        # finally: `finish` may raise (a KeyboardInterrupt, a timeout of the upload). The run has
        # ended all the same, and the exporter would show it as running for ever.
        try:
            return native(self, *args, **kwargs)
        finally:
            sync.finished(self)
            try:
                hook.recorder.finished(self)
            finally:  # a signal handler may raise within it
                hook.step_fix.finished(self)

    return finish
