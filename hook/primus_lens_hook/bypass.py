# SPDX-License-Identifier: Apache-2.0
"""Records log calls that never reach the patched method of wandb's `Run` class.

Those are the calls of disabled runs, and those of forked children in wandb up to 0.12, which
ignores them. It must never repair the steps of such a call: wandb has no counter for them.
"""

from __future__ import annotations

import functools
import os
import sys
import threading
from typing import Any, Callable, Dict, Optional, Tuple

from primus_lens_hook.fork_safe_lock import ForkSafeLock
from primus_lens_hook.interruption import is_interruption
from primus_lens_hook.recording.recorder import Recorder
from primus_lens_hook.training_step import TrainingStep
from primus_lens_hook.wandb_names import (
    DISABLED_RUNS,
    lack_of_method,
    parameter_names,
    signature_of,
)
from primus_lens_hook.wandb_step import as_integer
from primus_lens_hook.warn_once import describe
from primus_lens_hook.wrapping import is_wrapped, rebind_live_run, wrap

GLOBALS = ".sdk.lib.module"  # of wandb
_noting = ForkSafeLock()  # while a training step is noted: threads may log to one disabled run


def record_disabled_runs(module: Any, run_class: Any, recorder: Recorder) -> str:
    """Record the calls of runs whose `log` is not the class's; returns what this wandb lacks."""
    # A disabled run is an object of another kind up to 0.1x, a subclass (NoopRun) with a `log` of
    # its own in 0.31. All of them pass through set_global, by which `init` publishes each run.
    package = run_class.__module__.partition(".")[0]
    globals_module = vars(module).get("module") or sys.modules.get(package + GLOBALS)
    set_global = getattr(globals_module, "set_global", None)
    names = parameter_names(set_global)
    if "run" not in names:
        return "no set_global(run)"
    if lack_of_method(run_class, "log"):
        return lack_of_method(run_class, "log")
    if not is_wrapped(set_global):
        wrap(globals_module, "set_global", _catching_disabled, (recorder, run_class))
    return ""


def record_ignored_calls_of_children(run_class: Any, recorder: Recorder) -> None:
    """Record in each forked child what this wandb ignores there."""
    # In the child alone, so that the parent's log calls do not pay for a wrapper more.
    if hasattr(os, "register_at_fork") and not lack_of_method(run_class, "log"):
        os.register_at_fork(after_in_child=lambda: _record_ignored_calls(run_class, recorder))


def _record_ignored_calls(run_class: Any, recorder: Recorder) -> None:
    # A grandchild inherits the wrappers: a second layer would record each call twice.
    if not is_wrapped(run_class.log):
        calling = threading.local()  # threads of the child may log at once
        wrap(run_class, "_log", _arriving, calling)
        wrap(run_class, "log", _recording_if_ignored, (recorder, calling))
        rebind_live_run()


def _arriving(native: Callable[..., Any], calling: Any) -> Callable[..., Any]:
    @functools.wraps(native)
    def _log(*args: Any, **kwargs: Any) -> Any:
        calling.arrived = True
        return native(*args, **kwargs)

    return _log


def _recording_if_ignored(
    native: Callable[..., Any], to: Tuple[Recorder, Any]
) -> Callable[..., Any]:
    recorder, calling = to
    steps, data = TrainingStep(), "".join(parameter_names(native)[1:2])

    @functools.wraps(native)
    def log(self: Any, *args: Any, **kwargs: Any) -> Any:
        # wandb up to 0.12 returns from `log` in a child before it calls `_log`; newer ones go
        # on, and `_log` is patched. Which of the two this wandb does, only the call itself shows.
        calling.arrived = False
        answer = native(self, *args, **kwargs)
        if not calling.arrived:
            _record(recorder, self, data, args, kwargs, steps)
        return answer

    return log


def _recording_disabled(run: Any, native: Callable[..., Any], recorder: Recorder) -> Any:
    steps, data = TrainingStep(), "".join(parameter_names(native)[:1])

    # Not bound, and without `self`: it becomes an attribute of the run, not of its class.
    @functools.wraps(native)
    def log(*args: Any, **kwargs: Any) -> Any:
        _record(recorder, run, data, args, kwargs, steps)
        return native(*args, **kwargs)

    log.primus_lens_native = native  # type: ignore[attr-defined]
    return log


def _catching_disabled(native: Callable[..., Any], to: Tuple[Recorder, Any]) -> Callable[..., Any]:
    recorder, run_class = to
    signature = signature_of(native)

    @functools.wraps(native)
    def set_global(*args: Any, **kwargs: Any) -> Any:
        try:
            given = signature.bind(*args, **kwargs)
            log = _caught(given.arguments.get("run"), run_class, recorder)
            # Callers use either wandb.log or run.log: both become the recorded one.
            if log is not None:
                if "log" in given.arguments:
                    given.arguments["log"] = log
                args, kwargs = given.args, given.kwargs
        except Exception as error:
            if is_interruption(error):
                raise
            recorder.decline(DISABLED_RUNS, describe(error))
        return native(*args, **kwargs)

    return set_global


def _caught(run: Any, run_class: Any, recorder: Recorder) -> Any:
    """The recorded `log` of a run that has one of its own; None for other runs."""
    log = getattr(run, "log", None)
    own = getattr(run_class, "log", None)
    # What is given as wandb.log does not tell: it may be any function that ends in run.log.
    is_usual = getattr(log, "__func__", None) is own or is_wrapped(log)
    if run is None or not callable(log) or is_usual:
        return None
    run.log = _recording_disabled(run, log, recorder)
    return run.log


def _record(
    recorder: Recorder, run: Any, data: str, args: Any, kwargs: Any, steps: TrainingStep
) -> None:
    """Record a call that wandb's counter has no part in; `data` is the name of its first."""
    row, keys = recorder.snapshot(args[0] if args else kwargs.get(data))
    if row is None:
        return
    try:
        # By position too: Megatron-LM passes the step as the second argument.
        explicit = as_integer(args[1] if len(args) > 1 else kwargs.get("step"))
        step, late = _noting.within(_note, steps, explicit, row, keys)
    except Exception as error:  # of a key, for example
        recorder.failed(error)
        step, late = None, False
    recorder.record(run, row, step, late)


def _note(
    steps: TrainingStep, explicit: Optional[int], row: Dict[str, Any], keys: Tuple[str, ...]
) -> Tuple[Any, bool]:
    """Remember the step that a row shows; returns its step, and whether it is late."""
    shown, step, late = steps.of(explicit, row, keys)
    if shown is not None:
        steps.note(shown, keys)
    return step, late
