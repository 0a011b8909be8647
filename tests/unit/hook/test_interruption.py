# SPDX-License-Identifier: Apache-2.0
"""What a signal handler, a tracing function or another thread raises is told from every other."""

import ctypes
import functools
import json
import os
import signal
import sys
import threading

import pytest
from primus_lens_hook.interruption import is_interruption, is_ours
from primus_lens_hook.recording import scalars


class Preempted(TimeoutError):
    pass


class Handler:
    def __call__(self, *_):
        raise Preempted

    def method(self, _signal, _frame):
        raise Preempted("with a reason")


def function(*_):
    raise Preempted


def with_helper(*arguments):
    json.loads("", object_hook=function(*arguments))


def removing_itself(*_):
    signal.signal(signal.SIGUSR1, signal.SIG_DFL)
    raise Preempted


@functools.wraps(function)
def decorated(*args, **kwargs):
    return function(*args, **kwargs)


def nested(*_):
    signal.signal(signal.SIGUSR2, function)
    signal.raise_signal(signal.SIGUSR2)


def steps():
    yield
    raise Preempted


def generator(_signal, _frame, started=steps()):  # noqa: B008 one for all calls
    list(started)
    function()


def failing(_signal, _frame):
    json.loads("{")


def called():
    pass


HANDLERS = [
    function, Handler(), Handler().method, functools.partial(function, 1), lambda *_: function(),
    with_helper, removing_itself, decorated, nested, generator, failing,
]  # fmt: skip


def of_handler(handler):
    before = signal.signal(signal.SIGUSR1, handler)
    try:
        signal.raise_signal(signal.SIGUSR1)
    finally:
        signal.signal(signal.SIGUSR1, before)


def of_tracing_function(setter):
    setter(lambda *_: function())
    try:
        called()
    finally:
        setter(None)


def of_monitoring(*_):
    tool, event = 3, sys.monitoring.events.PY_START
    sys.monitoring.use_tool_id(tool, "test")
    sys.monitoring.register_callback(tool, event, function)
    sys.monitoring.set_events(tool, event)
    try:
        called()
    finally:
        sys.monitoring.set_events(tool, 0)
        sys.monitoring.free_tool_id(tool)


def of_another_thread(*_):
    raising = ctypes.pythonapi.PyThreadState_SetAsyncExc
    raising(ctypes.c_ulong(threading.get_ident()), ctypes.py_object(Preempted))
    for _ in range(1000):
        len("")


INTERRUPTIONS = [
    *((of_handler, handler) for handler in HANDLERS),
    (of_tracing_function, sys.settrace),
    (of_tracing_function, sys.setprofile),
    (of_another_thread, None),
]
if sys.version_info >= (3, 12):
    INTERRUPTIONS.append((of_monitoring, None))


def raised_by(raising, *arguments):
    try:
        raising(*arguments)
    except Exception as error:  # noqa: BLE001 any is to be looked at
        return error


@pytest.mark.parametrize(("way", "argument"), INTERRUPTIONS)
def test_interruptions(way, argument):
    error = raised_by(way, argument)
    assert isinstance(error, (Preempted, json.JSONDecodeError))
    assert is_interruption(error)


class Value:
    @property
    def shape(self):
        raise Preempted

    item = shape


def assertion():
    assert not HANDLERS


@pytest.mark.parametrize(
    "raising",
    [
        function,
        assertion,
        lambda: Value().shape,
        lambda: next(iter(())),
        lambda: json.loads("{"),
        lambda: os.stat("/no/such/file"),
        lambda: raised_by(of_another_thread)[0],
    ],
)
def test_all_else(raising):
    assert not is_interruption(raised_by(raising))


def test_whose_fault_it_is(monkeypatch):
    assert not is_ours(raised_by(scalars.unwrap, Value()))
    assert not is_ours(raised_by(function))
    monkeypatch.setattr(scalars, "_json", None)
    fault = raised_by(scalars.encode, {})
    fault.__traceback__ = fault.__traceback__.tb_next  # without the frame of this file
    assert is_ours(fault)
    assert not is_ours(MemoryError())
