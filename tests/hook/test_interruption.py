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


def test_a_training_gets_what_its_handler_raises_and_goes_on(train):
    done = train("""
        import signal, wandb
        class Preempted(Exception):
            pass
        def handler(*_):
            raise Preempted
        signal.signal(signal.SIGALRM, handler)
        run = wandb.init(project="p")
        class Rings(wandb.Histogram):       # the signal comes while wandb encodes it
            def to_json(self, *args, **kwargs):
                signal.raise_signal(signal.SIGALRM)
        caught = 0
        for step in range(1, 20):
            try:
                odd = {} if step % 5 else {"odd": Rings([1])}
                run.log({"loss": step, **odd}, step=step)
            except Preempted:
                caught += 1
            run.log({"late": step}, step=step - 1)
        run.finish()
        print(caught)
    """)
    assert (done.status, done.stdout, done.complaints) == (0, "3\n", [])
    assert sorted(row["late"] for row in done.rows if "late" in row) == list(range(1, 20))
