# SPDX-License-Identifier: Apache-2.0
"""An exception of a signal handler is told from every other."""

import functools
import signal

import pytest
from primus_lens_hook.interruption import from_signal_handler


class Preempted(Exception):
    pass


class Handler:
    def __call__(self, *_):
        raise Preempted

    def method(self, *_):
        raise Preempted


def function(*_):
    raise Preempted


@pytest.fixture(params=[function, Handler(), Handler().method, functools.partial(function, 1)])
def _handler(request):
    before = signal.signal(signal.SIGUSR1, request.param)
    yield
    signal.signal(signal.SIGUSR1, before)


@pytest.mark.usefixtures("_handler")
def test_it_is_known_by_its_handler():
    with pytest.raises(Preempted) as caught:
        signal.raise_signal(signal.SIGUSR1)
    assert from_signal_handler(caught.value)


def test_others_are_not():
    with pytest.raises(Preempted) as caught:
        function()
    assert not from_signal_handler(caught.value)
