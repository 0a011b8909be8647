# SPDX-License-Identifier: Apache-2.0
"""Guards the calls of one run: its lock, its state, and what to do after an error in them.

An internal error, at whatever point, sends what waits and leaves the run to wandb from then on.
It must never swallow an exception of wandb's own or of a signal handler: those are the caller's.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from typing import Any, Callable, Dict, List, Optional

from primus_lens_hook.fork_safe_lock import holding, let_go
from primus_lens_hook.interruption import is_interruption, is_ours
from primus_lens_hook.step_fix.fallback import log_after_giving_up, log_rest, send_waiting_rows
from primus_lens_hook.step_fix.limits import Limits
from primus_lens_hook.step_fix.log_call import LogCall
from primus_lens_hook.step_fix.pass_through import PassThrough
from primus_lens_hook.step_fix.reordering import Reordering
from primus_lens_hook.step_fix.run_context import RunContext
from primus_lens_hook.step_fix.shared import Shared
from primus_lens_hook.step_fix.state import State
from primus_lens_hook.wandb_names import STEP_FIX
from primus_lens_hook.warn_once import describe, warn_once


class RunGuard:
    """One run of this process. Safe for threads, signal handlers and forks.

    `others_log` is one byte that forked children see: whether any of them logs to our runs.
    """

    def __init__(self, run: RunContext, start_timer: Callable[[], None], others_log: Any) -> None:
        self.context = run
        self._start_timer = start_timer
        self.others_log = others_log
        self._state: State = PassThrough(run, self._conflict)
        self._active = True
        # Re-entrant: a signal handler may log, or finish the run, within a call of its thread.
        self.lock = threading.RLock()
        # Within a call: whoever gets the lock then is a signal handler of the lock's own thread.
        self.serving = False
        self.interrupting: List[LogCall] = []  # calls of such handlers
        self._foreign = run.wandb.is_foreign()
        self._serves = run.wandb.can_repair_steps(self._foreign)
        self.is_plain = self._serves and not (self._foreign or run.tracks_calls)
        """Whether rows of numbers go to wandb as they are (`fast_path`). Once False, for good."""

    def takes_calls(self) -> bool:
        """Whether calls are served here; else they are wandb's."""
        # A mirror of tensorboard, which may begin after the run, strips the step of each call.
        return self._serves and not self.context.wandb.patched.get("tensorboard")

    def log(self, call: LogCall) -> Any:
        """Serve one call; returns and raises what wandb does."""
        try:
            lock = self.lock
            is_within = lock._is_owned()  # type: ignore[attr-defined]  # noqa: SLF001 Condition asks too
            with lock:
                if not self._active:
                    return log_after_giving_up(self.context.wandb, call)
                # In a signal handler. Not now: the state is half changed, and wandb would deadlock.
                # Both are asked: a tracing function that raises may leave the mark behind.
                if self.serving and is_within:
                    self.interrupting.append(call)
                    return None
                return self._serve(call)
        except BaseException as fault:
            let_go(self.lock)
            if not isinstance(fault, Exception) or call.refused or is_interruption(fault):
                raise
            return self.give_up(fault, call)

    def _serve(self, call: LogCall) -> Any:
        self.serving = True
        try:
            if self._foreign or self.others_log[0]:
                self.others_log[0] = 1
                self._share()
            self.context.begin(call)
            return self._state.log(call)
        finally:
            self.end_call()

    @holding("lock")
    def end_call(self) -> None:
        """Serve what signal handlers have logged within a call that returns or raises."""
        self.serving = False
        if self.interrupting:
            self.serve_interrupting()

    def flush(self) -> None:
        """Send everything that waits. Never raises."""
        self._guarded(self._flush)

    def flush_window(self) -> None:
        """Send what native wandb would have got by now. Never raises."""
        self._guarded(lambda: self._state.flush_window())  # noqa: PLW0108 the state under the lock

    def flush_whole(self) -> None:
        """Send what waits, unless that would split a row. Never raises."""
        self._guarded(lambda: self._state.flush_whole())  # noqa: PLW0108 likewise

    def flush_overdue(self, now: float) -> Optional[float]:
        """Send what has waited too long; returns when to ask again, if ever. Never raises."""
        return self._guarded(lambda: self._state.flush_overdue(now))  # type: ignore[no-any-return]

    def share(self) -> None:
        """Note that another process may log to the run too. Never raises."""
        self._guarded(self._share)

    def summary(self, shown: Dict[str, Any]) -> Dict[str, Any]:
        """What the run's summary has to show, where wandb's shows `shown`. Never raises."""
        with_rows = self.context.summary.with_rows
        answer = self._guarded(lambda: with_rows(shown, self._state.waiting()))
        return shown if answer is None else answer

    def step(self, read: Callable[[], Any]) -> Any:
        """The step of native wandb; `read` returns that of wandb as it is."""
        # No lock is needed for an int, and a thread may hold it while wandb is slow.
        counter = self._state.counter
        return read() if counter is None else counter

    @holding("lock")
    def note_unserved(self, call: LogCall) -> None:
        """Note a call that wandb took, and that was not served here."""
        self.context.note_training_step(call)
        if call.values:
            self.context.wandb.mark = {}

    @holding("lock")
    def set_training_step(self, step: int) -> None:
        """Set the step given to `update_training_step()`."""
        self.context.steps.set(step)

    def set_tracks_calls(self) -> None:
        """Note which call brings a key, from the next call on: priorities are given."""
        self.context.tracks_calls, self.is_plain = True, False

    def note_definition(self, *args: Any, **kwargs: Any) -> None:
        """Note a `define_metric` of the user's, for rows to come. Never raises."""
        self._guarded(lambda: self._define(*args, **kwargs))

    def note_summary_write(self, record: Any) -> None:
        """Let what the user puts into the summary be newer than what waits. Never raises."""
        # Ours come here too: wandb's summary calls back for whoever writes into it.
        if not self.serving:
            self._guarded(lambda: self._note_written(record))

    @holding("lock")
    def limit(self, limits: Limits) -> None:
        """Bound what waits, from the next call on."""
        self.context.limits = limits

    def hand_back(self) -> None:
        """Send everything that waits; the next calls are wandb's. Never raises."""
        self.is_plain = False
        self._guarded(self._pass_through)

    @holding("lock")
    def resume(self) -> None:
        """Note that wandb has had calls that were not served here."""
        if self._serves and not isinstance(self._state, Shared):
            self.context.wandb.forget_open_row()

    def stand_aside(self, reason: str) -> None:
        """Leave the run to a wandb that lacks something. Never raises."""
        self._serves = False
        self.hand_back()
        self.context.wandb.decline(STEP_FIX, reason)

    def make_way(self, arguments: Iterable[Any]) -> None:
        """Have nothing wait that a call would pass which only wandb understands. Never raises."""
        self.is_plain = False
        self._guarded(self._flush if isinstance(self._state, Shared) else self._pass_through)
        what = "calls with arguments that are not known: %s" % ", ".join(map(str, arguments))
        self.context.wandb.decline(STEP_FIX, what)

    def note_answer(self) -> None:
        """Note that wandb's method returned something: a row that waits could not. Never raises."""
        # Not later: once late rows have moved the counter, wandb would drop what native keeps.
        if isinstance(self._state, PassThrough):
            self.stand_aside("Run.log returns a value")

    def after_fork(self) -> None:
        """In a child: the parent has the rows, and perhaps had the lock."""
        # The rows that wait are the parent's: a child that sends them too doubles each of them.
        self.lock = threading.RLock()
        self.serving = False
        self.interrupting.clear()
        self._state = PassThrough(self.context, self._conflict)
        self._foreign, self.is_plain = True, False
        self._serves = self._serves and self.context.wandb.can_repair_steps(self._foreign)

    @holding("lock")
    def give_up(self, fault: Exception, call: Optional[LogCall] = None) -> Any:
        """Send what waits, each row once; then wandb has the calls, unless no fault was ours."""
        self.is_plain = False
        self._active = not is_ours(fault)
        if not self._active:
            reason = "internal error: " + describe(fault)
            warn_once("steps", "the step fix is off for this run after an " + reason)
            self.context.wandb.decline(STEP_FIX, reason)
        try:
            send_waiting_rows(self.context, self._state.waiting())
            return log_rest(self.context.wandb, self.interrupting, call)
        finally:
            if self._active:
                self._begin_anew()

    def _begin_anew(self) -> None:
        shared = isinstance(self._state, Shared)
        self.resume()
        self._state = PassThrough(self.context, self._conflict)
        if shared:
            self._share()

    def _flush(self) -> None:
        self._state.flush()
        # A signal handler may finish the run within a call: what it has logged has no later.
        self.serve_interrupting()

    def _note_written(self, record: Any) -> None:
        # First what native wandb has got before the user's writing: its values are older.
        self._state.flush_window()
        self.context.note_written(record)

    def _define(self, *args: Any, **kwargs: Any) -> None:
        if self.context.define(*args, **kwargs):
            self.is_plain = False

    def _pass_through(self) -> None:
        self._flush()
        if not isinstance(self._state, PassThrough):
            self.context.wandb.end_open_row()  # or calls that name its step would join it
            self._state = PassThrough(self.context, self._conflict)

    def _conflict(self, call: LogCall) -> Any:
        """From here on the run's rows are compared with native wandb's counter."""
        self.is_plain = False
        self._start_timer()
        self._state = Reordering(self.context)
        return self._state.log(call)

    def _share(self) -> None:
        # Once shared, always: nobody tells when the other process has logged its last row.
        if isinstance(self._state, Shared):
            return
        self.is_plain = False
        if not self.others_log[0]:  # they have not begun: wandb still is where we think
            self._state.flush()
        waiting = self._state.waiting()
        self._start_timer()
        self._state = Shared(self.context, holds=not self._foreign, waiting=waiting)

    def serve_interrupting(self) -> None:
        """Serve what signal handlers have logged within a call, up to the last moment."""
        within_a_call = self.serving
        while self.interrupting:
            self.serving = True
            try:
                self._serve_next(self.interrupting.pop(0))
            finally:
                self.serving = within_a_call

    def _serve_next(self, call: LogCall) -> None:
        try:
            self.context.begin(call)
            self._state.log(call)
        except Exception as error:
            if is_interruption(error):
                raise
            if not call.refused:
                self.interrupting.insert(0, call)
                raise
            self.context.counts.dropped += 1  # its caller has returned

    def _guarded(self, act: Callable[[], Any]) -> Any:
        try:
            lock = self.lock
            with lock:
                return self._act(act) if self._active else None
        except BaseException as fault:
            let_go(self.lock)
            if not isinstance(fault, Exception) or is_interruption(fault):
                raise
            return self.give_up(fault)

    def _act(self, act: Callable[[], Any]) -> Any:
        within_a_call, self.serving = self.serving, True
        try:
            # Where a child has logged meanwhile, wandb would drop the waiting rows at their steps.
            if self.others_log[0] and not self._foreign and self._state.waiting():
                self._share()
            return act()
        finally:
            self.serving = within_a_call
            if self.interrupting and not within_a_call:
                self.serve_interrupting()
