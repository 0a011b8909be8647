# SPDX-License-Identifier: Apache-2.0
"""Finds the smallest part of a failing program that breaks the same rule."""

import time

from support.differential import program
from support.differential.pack import Pack
from support.differential.rules import brief

ROUNDS = 8
SECONDS = 240  # after which no round begins
CANDIDATES = 30  # in one process, a run each
CONFIRMED = 3  # of them are tried alone


def report(pack, broken, python=None):
    """What a developer needs to know of a failing pack: rules, and a script to run."""
    texts = brief(broken)
    if not isinstance(pack, Pack):
        return f"{texts}\n\nThe program:\n\n{pack.script}"
    names = {each.run for each in broken}
    failing = next((p for p in pack.programs if p.name in names), pack.programs[0])
    alone = Pack((failing,), pack.keep_duplicates)
    broken_alone = alone.broken(python)
    if not broken_alone:
        return f"{texts}\n\nNo run breaks a rule alone; the whole process:\n\n{pack.script}"
    smallest, rules = shrunk(alone, broken_alone, python)
    rules = "\n".join(f"# {each}" for each in rules[:5])
    return f"{texts}\n\nThe smallest program that breaks this rule:\n\n{rules}\n{smallest.script}"


def shrunk(pack, broken, python=None):
    """A pack of one program that breaks the rule of `broken[0]`, and what it breaks."""
    rule, ends = broken[0].rule, time.monotonic() + SECONDS
    for _ in range(ROUNDS):
        smaller = next(_smaller(pack, rule, python), None)
        if smaller is None:
            break
        pack, broken = smaller
        if time.monotonic() > ends:
            break
    return pack, broken


def _smaller(pack, rule, python):
    """Smaller programs that break the rule alone, with what they break."""
    tried = candidates(pack.programs[0])
    broken = Pack(tried, pack.keep_duplicates).broken(python)
    names = {each.run for each in broken if each.rule == rule}
    promising = [each for each in tried if each.name in names]
    for candidate in promising[:CONFIRMED] or tried[:CONFIRMED]:
        alone = Pack((candidate,), pack.keep_duplicates)
        found = [each for each in alone.broken(python) if each.rule == rule]
        if found:
            yield alone, found


def candidates(whole):
    """The program with parts of it left out, smallest first."""
    operations, found = list(whole.operations), []
    size = len(operations) // 2
    while size > 1 and len(found) + len(operations) // size < CANDIDATES:
        firsts = range(0, len(operations), size)
        found += [[*operations[:first], *operations[first + size :]] for first in firsts]
        size //= 2
    single = list(program.fewer(operations)) if size <= 1 else []
    found = [each for each in [*found, *single] if each][:CANDIDATES]
    name = whole.name.partition(".")[0]
    return tuple(
        program.Program(f"{name}.{number}", tuple(each)) for number, each in enumerate(found)
    )
