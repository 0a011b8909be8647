# SPDX-License-Identifier: Apache-2.0
"""Records the values of the event writers whose directories wandb reads.

wandb tells a run of each such directory while its writer is made. From then on each event that a
writer of that directory takes is a record. It must never change what a writer does, and a value
that a writer refuses is none.
"""

from __future__ import annotations

import functools
import weakref
from typing import Any, Callable, Dict, Optional, Tuple, Union

from primus_lens_hook.fork_safe_lock import ForkSafeLock
from primus_lens_hook.interruption import is_interruption
from primus_lens_hook.recording.recorder import Recorder
from primus_lens_hook.tensorboard.events import values_of
from primus_lens_hook.tensorboard.namespaces import (
    CoreNamespaces,
    Directory,
    OldNamespaces,
    absolute,
)
from primus_lens_hook.tensorboard.writers import observe_writers
from primus_lens_hook.training_step import TrainingStep
from primus_lens_hook.wandb_names import NO_DICT, has_core, lack_of_method
from primus_lens_hook.warn_once import describe, warn_once
from primus_lens_hook.wrapping import wrap

ATTRIBUTE = "_primus_lens_tensorboard"  # of wandb's runs and of the writers

StepOf = Callable[[Any], Optional[int]]


class SyncedRun:
    """A run that wandb reads event files for."""

    def __init__(self, run: Any) -> None:
        # The directories of a sweep with a thousand runs must not keep the runs.
        self.run = weakref.ref(run)
        self.finished = False
        self.steps = TrainingStep()
        self.namespaces: Union[CoreNamespaces, OldNamespaces] = (
            CoreNamespaces() if has_core() else OldNamespaces()
        )

    def note(self, step: int, row: Dict[str, Any], keys: Tuple[str, ...]) -> bool:
        """Remember the step of a row; whether it is late."""
        late = self.steps.of(step, row, keys)[2]
        self.steps.note(step, keys)
        return late


class SyncedDirectory:
    """A directory of event files that wandb reads for a run."""

    def __init__(self, synced: SyncedRun, directory: Directory) -> None:
        self.synced = synced
        self.directory = directory
        self.plugins: Dict[str, str] = {}


class TensorBoard:
    """The event writers of this process.

    `step_of` finds the newest training step that the log calls of a run have shown.
    """

    def __init__(self, recorder: Recorder, step_of: StepOf) -> None:
        self._recorder = recorder
        self._step_of = step_of
        self._directories: Dict[str, SyncedDirectory] = {}  # by absolute path
        self._broken = False
        self._noting = ForkSafeLock()

    def announce(
        self,
        run: Any,
        logdir: Any = None,
        _save: Any = None,
        root_logdir: Any = None,
        *_: Any,
        **__: Any,
    ) -> None:
        """Note that wandb reads this directory for the run from now on. Never raises."""
        if not self._broken and isinstance(logdir, str):
            root = root_logdir or ""
            self._fenced(lambda: self._noting.within(self._announce, run, logdir, root))

    def made(self, writer: Any, logdir: Any = None, *_: Any, **__: Any) -> None:
        """Note a new writer. Never raises."""
        if not self._broken and isinstance(logdir, str):
            self._fenced(lambda: self._made(writer, logdir))

    def written(self, writer: Any, event: Any = None, *_: Any, **__: Any) -> None:
        """Record an event that a writer has taken. Never raises."""
        directory = getattr(writer, ATTRIBUTE, None)
        # A closed writer of tensorboardX ignores what it is given.
        if directory is not None and not self._broken and not getattr(writer, "_closed", False):
            self._fenced(lambda: self._record(directory, event))

    def _announce(self, run: Any, logdir: str, root: str) -> None:
        # vars, not setattr: wandb's Run refuses unknown names. In one step: a signal handler may
        # come past the lock, which its thread holds.
        synced = vars(run).setdefault(ATTRIBUTE, SyncedRun(run))
        directory = synced.namespaces.add(logdir, root)
        self._directories[absolute(logdir)] = SyncedDirectory(synced, directory)
        # Now, not at an import: wandb tells from within the constructor of a writer, whose module
        # is loaded, and a training without any pays nothing. Under the lock: two threads may make
        # the first writers, and a class wrapped twice records each value twice.
        observe_writers(self.made, self.written)

    def _made(self, writer: Any, logdir: str) -> None:
        # wandb reads the files that begin after it has been told of their directory, whoever
        # writes them. One that a writer has had open before stays unread.
        directory = self._directories.get(absolute(logdir))
        if directory is not None:
            setattr(writer, ATTRIBUTE, directory)

    def _record(self, to: SyncedDirectory, event: Any) -> None:
        try:
            values = values_of(event, to.plugins)
            step = event.step  # 0 where the caller has given none
        except Exception as error:
            if is_interruption(error):
                raise
            # No event, or one of a TensorBoard of the future: it costs itself alone.
            return
        run = to.synced.run()
        if values and run is not None and not to.synced.finished:
            row = {to.directory.key(tag): value for tag, value in values.items()}
            keys = tuple(row)
            late = self._noting.within(to.synced.note, step, row, keys)
            # In a run whose log calls show steps too, TensorBoard's are another counter.
            late = late or self._step_of(run) is not None
            self._recorder.record(run, row, step, late)

    def _fenced(self, action: Callable[[], None]) -> None:
        try:
            action()
        except Exception as error:
            if is_interruption(error):
                raise
            self._broken = True
            reason = describe(error)
            warn_once(
                "tensorboard", "TensorBoard is not recorded after an internal error: " + reason
            )


def record_synced(run_class: Any, recorder: Recorder, step_of: StepOf) -> str:
    """Record what wandb reads out of event files; returns what this wandb lacks for it."""
    if not run_class.__dictoffset__:  # our state of a run is kept in it
        return NO_DICT
    lack = lack_of_method(run_class, "_tensorboard_callback")
    if recorder.is_on and not lack:
        wrap(run_class, "_tensorboard_callback", _announcing, _the_tensorboard(recorder, step_of))
    return lack


# Once per process, not per import of wandb: the writers' classes are wrapped once, too.
@functools.lru_cache(maxsize=None)
def _the_tensorboard(recorder: Recorder, step_of: StepOf) -> TensorBoard:
    return TensorBoard(recorder, step_of)


def finished(run: Any) -> None:
    """Note that wandb has finished a run: it reads no event file for it any more."""
    # wandb before 0.13 has no mark of a finished run, for which the recorder looks.
    synced = _synced(run)
    if synced is not None:
        synced.finished = True


def newest_step(run: Any) -> Optional[int]:
    """The newest step of the run's TensorBoard, if it has any."""
    synced = _synced(run)
    return None if synced is None else synced.steps.newest


def _synced(run: Any) -> Optional[SyncedRun]:
    # Not the attribute itself: a disabled run of an old wandb answers each name with a dummy
    # object. And a class with slots has no __dict__.
    found: Optional[SyncedRun] = getattr(run, "__dict__", {}).get(ATTRIBUTE)
    return found


def _announcing(native: Callable[..., Any], tensorboard: TensorBoard) -> Callable[..., Any]:
    @functools.wraps(native)
    def _tensorboard_callback(self: Any, *args: Any, **kwargs: Any) -> Any:
        # Whatever its arguments are in a wandb of the future: what is not known is ignored.
        answer = native(self, *args, **kwargs)
        tensorboard.announce(self, *args, **kwargs)
        return answer

    return _tensorboard_callback
