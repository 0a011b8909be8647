# SPDX-License-Identifier: Apache-2.0
"""Wraps the methods of wandb's `Run` class that log and that finish.

The class is patched, not the module: `wandb.log` is a stub that `wandb.init` rebinds to
the run's bound method. Positional and keyword calls both occur (Megatron passes the step
by position), and the signature has grown since 0.10, so wrappers pass on what they get.

Disabled runs bypass the class (an object of their own up to 0.1x, a subclass since);
`set_global`, through which `init` publishes each run, is where they are seen.
"""

from __future__ import annotations

import atexit
import functools
import os
import sys
from typing import Any, Callable, Optional

from primus_lens_hook import outcome, settings
from primus_lens_hook.recorder import Recorder, current_step

_recorder: Optional[Recorder] = None


def apply(module: Any) -> None:
    """Patch `wandb.sdk.wandb_run`, freshly executed or long loaded. Idempotent."""
    recorder = _the_recorder()
    run_class = getattr(module, "Run", None)
    if run_class is None or not callable(getattr(run_class, "log", None)):
        recorder.report(outcome.DECLINED, "this wandb has no Run.log")
        return
    if hasattr(run_class.log, "primus_lens_native"):
        return
    run_class.log = _observed(run_class.log, recorder)
    finish = "_finish" if hasattr(run_class, "_finish") else "finish"
    setattr(run_class, finish, _noting_finish(getattr(run_class, finish), recorder))
    globals_module = getattr(module, "module", None)  # wandb.sdk.lib.module
    if globals_module is not None and hasattr(globals_module, "set_global"):
        globals_module.set_global = _catching_disabled(globals_module.set_global, recorder)
    _rebind_live_run()
    recorder.report(outcome.PATCHED)


def _the_recorder() -> Recorder:
    """One per process, also when wandb is deleted and imported again."""
    global _recorder
    if _recorder is None:
        _recorder = Recorder(settings.load(os.environ))
        # wandb registers its own at init, later: ours runs after it, when exit codes are known.
        atexit.register(_recorder.exiting)
    return _recorder


def _observed(native: Callable[..., Any], recorder: Recorder) -> Callable[..., Any]:
    @functools.wraps(native)
    def log(self: Any, data: Any, *args: Any, **kwargs: Any) -> Any:
        step = args[0] if args else kwargs.get("step")
        if step is None:
            step = current_step(self)
        return native(self, recorder.observe(self, data, step), *args, **kwargs)

    log.primus_lens_native = native  # type: ignore[attr-defined]
    return log


def _observed_disabled(run: Any, native: Callable[..., Any], recorder: Recorder) -> Any:
    """The same for a run whose `log` is its own, and whose steps nobody counts."""

    @functools.wraps(native)
    def log(data: Any, *args: Any, **kwargs: Any) -> Any:
        step = args[0] if args else kwargs.get("step")
        return native(recorder.observe(run, data, step), *args, **kwargs)

    log.primus_lens_native = native  # type: ignore[attr-defined]
    return log


def _noting_finish(native: Callable[..., Any], recorder: Recorder) -> Callable[..., Any]:
    @functools.wraps(native)
    def finish(self: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            return native(self, *args, **kwargs)
        finally:
            recorder.finished(self)

    return finish


def _catching_disabled(native: Callable[..., Any], recorder: Recorder) -> Callable[..., Any]:
    @functools.wraps(native)
    def set_global(*args: Any, **kwargs: Any) -> Any:
        run, log = kwargs.get("run"), kwargs.get("log")
        if run is not None and callable(log) and not hasattr(log, "primus_lens_native"):
            # Callers use either wandb.log or run.log: both become the observed one.
            run.log = kwargs["log"] = _observed_disabled(run, log, recorder)
        return native(*args, **kwargs)

    return set_global


def _rebind_live_run() -> None:
    """A run begun before the hook came left `wandb.log` bound to the native method."""
    wandb = sys.modules.get("wandb")
    run = getattr(wandb, "run", None)
    if run is not None:
        wandb.log = run.log  # type: ignore[union-attr]
