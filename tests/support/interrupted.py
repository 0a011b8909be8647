# SPDX-License-Identifier: Apache-2.0
"""Interrupts each instruction of some modules, one after the other, as a handler or tracer may."""

import itertools
import sys


class Preempted(Exception):
    """The user's own."""


def preempt(_):
    raise Preempted


def at_each(act, *modules, handler=preempt):
    """Call `act(number)`, in which instruction `number` of the modules raises; yields each.

    Or `handler(number)` is called there.
    """
    files = {module.__file__ for module in modules}
    for number in itertools.count():
        if not interrupted(act, number, files, handler):
            return
        yield number


def interrupted(act, number, files, handler=preempt):
    """Whether the call got that far."""
    left = [number]

    def tracer(frame, event, _):
        if frame.f_code.co_filename not in files:
            return None
        frame.f_trace_opcodes = True
        left[0] -= event in ("line", "opcode")
        if left[0] == -1:
            sys.settrace(None)
            handler(number)
        return tracer

    sys.settrace(tracer)
    try:
        act(number)
    except Preempted:
        pass
    finally:
        sys.settrace(None)
    return left[0] < 0
