# SPDX-License-Identifier: Apache-2.0
"""The event writers that TensorBoard's packages have, and what they are given.

It tells of writers and events, and must never change what a writer does, returns or raises.
"""

from __future__ import annotations

import functools
import sys
from typing import Any, Callable, Iterator

from primus_lens_hook.wrapping import is_wrapped, wrap

# The modules that have a class EventFileWriter of their own. torch.utils.tensorboard has
# TensorBoard's. TensorFlow's is that of TensorFlow 1: `tf.summary` of 2 writes in C++.
MODULES = (
    "tensorboard.summary.writer.event_file_writer",
    "tensorboardX.event_file_writer",
    "tensorflow.python.summary.writer.event_file_writer",
)

Listener = Callable[..., None]
"""Gets a writer and the arguments of its method, whatever they are. Never raises."""


def observe_writers(made: Listener, written: Listener) -> None:
    """Have every class that is loaded tell of its writers and of the events they take.

    Idempotent, but not for two threads at once.
    """
    for writer_class in _writer_classes():
        # The methods, not the class: wandb and other loggers put subclasses in its place.
        if not is_wrapped(writer_class.add_event):
            wrap(writer_class, "__init__", _telling, made)
            wrap(writer_class, "add_event", _telling, written)


def _telling(native: Callable[..., Any], tell: Listener) -> Callable[..., Any]:
    @functools.wraps(native)
    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        # First the writer: what it refuses is no value. It hands an event to a thread and returns,
        # so that SIGKILL loses it there, and not in the records.
        answer = native(self, *args, **kwargs)
        tell(self, *args, **kwargs)
        return answer

    return method


def _writer_classes() -> Iterator[Any]:
    """The classes themselves, below those that wandb puts in their places."""
    for name in MODULES:
        named = getattr(sys.modules.get(name), "EventFileWriter", None)
        for each in getattr(named, "__mro__", ()):
            if "add_event" in vars(each) and "__init__" in vars(each):
                yield each
