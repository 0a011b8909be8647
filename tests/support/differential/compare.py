# SPDX-License-Identifier: Apache-2.0
"""Compares what a program leaves behind with what it leaves behind natively."""

from support.differential.native import KEPT, NativeRun
from support.differential.outcome import without_addresses
from support.differential.rules import Broken, RunRules, has, shown
from support.differential.summaries import Reads


def compare(native, hooked, *, keep_duplicates=False):
    """All that is broken, in the order of the runs."""
    broken = [*at_work(native, hooked), *process(native, hooked)]
    for name in native.runs:
        rules = RunRules(name, native, hooked, keep_duplicates)
        broken += calls(rules, native, hooked)
        broken += rules.rows()
        if hooked.is_hooked:
            broken += rules.records()
        broken += Reads(rules, native, hooked).broken()
        broken += config(name, native, hooked)
    return broken


def compare_loosely(native, hooked, *, keep_duplicates=False):
    """Of programs that run differently each time: what is lost, or there twice."""
    broken = [*at_work(native, hooked)]
    if native.status != hooked.status:
        text = f"status {hooked.status}, native {native.status}"
        broken.append(Broken(6, "process", text))
    broken += complaints(hooked)
    for name in hooked.runs:
        for fate in NativeRun(hooked.notes_of(name)).fates:
            if hooked.is_hooked or fate.outcome == KEPT:
                broken += once(name, fate, hooked)
    return broken


def at_work(native, hooked):
    """Two processes that both fail before they log are equal, and tell nothing."""
    if not any(note["kind"] == "log" and not note["error"] for note in native.notes):
        yield Broken(0, "process", f"native logs nothing: {tail(native.stderr)}")
    if hooked.is_hooked and not list(hooked.training.output.glob("node_*/rank_*/wandb_hook.json")):
        yield Broken(0, "process", f"the hook is not there: {tail(hooked.stderr)}")


def once(name, fate, hooked):
    """Whether the values of a call are there once; of an interrupted one, once or not at all."""
    right = {0, 1} if fate.note.get("interrupted") else {1}
    rows = hooked.rows.get(name)
    for key, value in fate.note["data"].items():
        places = {"W&B": len(rows.having(key, value)) if rows else 0}
        if hooked.is_hooked:
            places["the records"] = sum(
                has(line["data"], key, value) for line in hooked.lines[name]
            )
        for place, times in places.items():
            if times not in right:
                text = f"{key}={value} of {shown(fate.note)} is in {place} {times} times"
                yield Broken(6, name, text)


def process(native, hooked):
    """The process as its parent sees it."""
    for what in ("status", "stdout", "stderr"):
        one, other = getattr(native, what), getattr(hooked, what)
        if one != other:
            yield Broken(6, "process", f"{what}: {tail(other)!r}, native {tail(one)!r}")
    for file in sorted(set(native.files) ^ set(hooked.files)):
        of = "native" if file in native.files else "hooked"
        yield Broken(6, "process", f"only the {of} process has {file}")
    for line in hooked.unreadable:
        yield Broken(3, "process", f"a record is not JSON: {tail(line)}")
    yield from complaints(hooked)


def complaints(hooked):
    """Lines of ours on stderr: nothing here is worth one."""
    for line in hooked.training.complaints:
        yield Broken(5, "process", f"printed: {line}")


def calls(rules, native, hooked):
    """Rule 5: the same calls with the same errors."""
    ours, theirs = hooked.notes_of(rules.name), native.notes_of(rules.name)
    if len(ours) != len(theirs):
        yield rules.broken(5, f"{len(ours)} calls were made, natively {len(theirs)}")
    for one, other in zip(theirs, ours, strict=False):
        errors = [without_addresses(note.get("error")) for note in (one, other)]
        if one["kind"] != other["kind"]:
            yield rules.broken(5, f"another call was made: {other}, natively {one}")
            return
        if errors[0] != errors[1] and one["kind"] != "read":
            what = shown(one) if one["kind"] == "log" else one["kind"]
            yield rules.broken(5, f"{what} raised {errors[1]}, natively {errors[0]}")


def config(name, native, hooked):
    one, other = native.configs.get(name), hooked.configs.get(name)
    if one != other:
        yield Broken(6, name, f"config: {other}, native {one}")


def tail(text):
    return text[-600:] if isinstance(text, str) else text
