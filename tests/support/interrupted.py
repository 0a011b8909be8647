# SPDX-License-Identifier: Apache-2.0
"""Raises at each instruction of some modules, one after the other, as a handler or tracer may."""

import itertools
import sys


class Preempted(Exception):
    """The user's own."""


def at_each(act, *modules):
    """Call `act(number)`, in which instruction `number` of the modules raises; yields each."""
    files = {module.__file__ for module in modules}
    for number in itertools.count():
        if not interrupted(act, number, files):
            return
        yield number


def interrupted(act, number, files):
    """Whether the call got that far."""
    left = [number]

    def tracer(frame, event, _):
        if frame.f_code.co_filename not in files:
            return None
        frame.f_trace_opcodes = True
        left[0] -= event in ("line", "opcode")
        if left[0] < 0:
            sys.settrace(None)
            raise Preempted
        return tracer

    sys.settrace(tracer)
    try:
        act(number)
    except Preempted:
        return True
    finally:
        sys.settrace(None)
    return False
