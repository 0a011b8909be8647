# SPDX-License-Identifier: Apache-2.0
"""No exception leaves a lock of the hook taken, wherever it comes."""

import signal

import pytest
from primus_lens_hook import fork_safe_lock
from primus_lens_hook.fork_safe_lock import ForkSafeLock, holding

from support.interrupted import Preempted, at_each


class Owner(ForkSafeLock):
    @holding("lock")
    def act(self):
        return self.within(len, "twice")

    def fail(self):
        raise Preempted


def test_at_each_instruction():
    owner, number = Owner(), 0
    for number in at_each(lambda _: owner.act(), fork_safe_lock):
        assert not owner.lock._is_owned(), number
    assert number > 20


def test_of_a_signal_handler():
    def handler(*_):
        raise Preempted

    owner, known, raised = Owner(), signal.signal(signal.SIGALRM, handler), 0
    while raised < 2000:
        try:
            signal.setitimer(signal.ITIMER_REAL, 5e-5)
            while True:
                owner.within(len, "a block")
        except Preempted:
            raised += 1
        assert not owner.lock._is_owned()
    signal.signal(signal.SIGALRM, known)


def test_what_a_block_within_raises_leaves_the_outer_one():
    owner, held = Owner(), []

    def act():
        with pytest.raises(Preempted):
            owner.within(owner.fail)
        held.append(owner.lock._is_owned())

    owner.within(act)
    assert held == [True]
    assert not owner.lock._is_owned()
