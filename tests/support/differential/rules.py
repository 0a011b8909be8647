# SPDX-License-Identifier: Apache-2.0
"""The rules for one run: what of it W&B, the records and the summary must have."""

from collections import Counter
from typing import NamedTuple

from support.differential import meant, native
from support.differential.outcome import AXIS, parents, same


class Broken(NamedTuple):
    """A rule that does not hold, and where."""

    rule: int
    run: str
    text: str

    def __str__(self):
        text = f"rule {self.rule}, {self.run}: {self.text}"
        return text.encode(errors="backslashreplace").decode()


def brief(broken, each=4):
    """The first few of each rule, and how many there are."""
    lines = []
    for rule in sorted({one.rule for one in broken}):
        these = [one for one in broken if one.rule == rule]
        lines += [f"rule {rule} is broken {len(these)} times:", *map(str, these[:each])]
    return "\n".join(lines)


class RunRules:
    """One run, natively and hooked; each method yields what is broken."""

    def __init__(self, name, native_outcome, hooked, keep_duplicates):
        self.name = name
        self.keep_duplicates = keep_duplicates
        self._is_hooked = hooked.is_hooked
        self.notes = native_outcome.notes_of(name)
        self.model = native.NativeRun(self.notes)
        self.meant = meant.Meant(self.model)
        self.native_rows, self.hooked_rows = native_outcome.rows[name], hooked.rows.get(name)
        self.lines = hooked.lines[name]
        self.axes = self.model.definitions.axes
        # Not to be found by their values: the same number is in several rows.
        self.repeated = self.axes | repeated(self.model.fates)

    def broken(self, rule, text):
        return Broken(rule, self.name, text)

    def rows(self):
        """Rules 1, 2 and 5: the values in W&B."""
        if self.hooked_rows is None:
            yield self.broken(6, "the run is not in W&B")
            return
        for call, fate in enumerate(self.model.fates):
            for key, value in fate.note["data"].items():
                if key not in self.repeated:
                    yield from self._value(call, fate, key, value)

    def _value(self, call, fate, key, value):
        kept = self.native_rows.having(key, value)
        rows = self.hooked_rows.having(key, value)
        what = f"{key}={value} of {shown(fate.note)}"
        if not self._is_hooked:
            yield from self._model(what, fate, key, kept)
        if fate.outcome == native.REFUSED:
            if rows and not kept:
                yield self.broken(5, f"{what} was refused and is in {rows}")
        elif kept:
            yield from self._kept(what, fate, key, kept[0], rows)
        elif self._must_be_repaired(fate, key):
            if self._is_hooked:
                yield from self._dropped(what, call, fate, rows)
        elif len(rows) > 1:
            yield self.broken(1, f"{what} is in W&B {len(rows)} times")

    def _must_be_repaired(self, fate, key):
        """Whether native drops the value, and not for a child of the process."""
        twice = self.keep_duplicates and key in fate.overwritten
        return fate.note["main"] and (fate.outcome == native.DROPPED or twice)

    def _model(self, what, fate, key, kept):
        """Whether the model of native knows why a value is or is not there."""
        keeps = fate.outcome == native.KEPT and key not in fate.overwritten
        if keeps != bool(kept):
            yield self.broken(0, f"{what}: the model says {fate.outcome}, native has {kept}")

    def _kept(self, what, fate, key, kept, rows):
        if len(rows) != 1:
            yield self.broken(1, f"{what} is in W&B {len(rows)} times")
            return
        for column in self._columns(fate) + [each for each in kept if key in parents(each)]:
            if not same(kept.get(column), rows[0].get(column)):
                has, had = rows[0].get(column), kept.get(column)
                yield self.broken(1, f"{what} has {column}={has}, native {had}")

    def _dropped(self, what, call, fate, rows):
        if len(rows) != 1:
            yield self.broken(2, f"{what}, which native drops, is in W&B {len(rows)} times")
            return
        (row,) = rows
        if row.get(AXIS) not in self.meant.steps[call]:
            meant_step = some(self.meant.steps[call])
            yield self.broken(2, f"{what} has {AXIS}={row.get(AXIS)} instead of {meant_step}")
        # A value that only a later one has overwritten takes no other column of its row along.
        columns = self._columns(fate) if fate.outcome == native.DROPPED else sorted(self.axes)
        for axis in columns:
            carried = fate.note["data"].get(axis)
            right = {carried} if axis in fate.note["data"] else fate.synced.get(axis, {None})
            if row.get(axis) not in right:
                text = f"{what}, which native drops, has {axis}={row.get(axis)} instead of "
                yield self.broken(2, text + some(right))

    def _columns(self, fate):
        """Those that must be right in the row that has values of this call."""
        return sorted(self.axes | (self.repeated & fate.note["data"].keys()))

    def records(self):
        """Rule 3: the lines of the JSONL."""
        returned = [fate for fate in self.model.fates if fate.outcome != native.REFUSED]
        if not len(returned) <= len(self.lines) <= len(self.model.fates):
            text = f"{len(self.lines)} records of {len(returned)} calls that returned"
            yield self.broken(3, text)
        for call, fate in enumerate(self.model.fates):
            if fate.outcome != native.REFUSED:
                yield from self._record(call, fate)

    def _record(self, call, fate):
        identifying = [each for each in fate.note["data"].items() if each[0] not in self.repeated]
        if not identifying:
            return
        key, value = identifying[0]
        lines = [line for line in self.lines if has(line["data"], key, value)]
        if len(lines) != 1:
            yield self.broken(3, f"{shown(fate.note)} has {len(lines)} records")
            return
        if not fate.note["main"]:
            return
        step, late = lines[0]["step"], lines[0].get("late", False)
        if meant.ANY not in self.meant.steps[call] and step not in self.meant.steps[call]:
            right = some(self.meant.steps[call])
            yield self.broken(
                3, f"{shown(fate.note)} is recorded at step {step} instead of {right}"
            )
        if late not in self.meant.late[call]:
            yield self.broken(3, f"{shown(fate.note)} is recorded with late={late}")


def repeated(fates):
    """Keys that have had one value more than once."""
    values = Counter(pair for fate in fates for pair in fate.note["data"].items())
    return {key for (key, _), times in values.items() if times > 1}


def has(data, key, value):
    if value is None:
        return any(key in parents(each) for each in data)
    return data.get(key) == value


def some(values):
    return " or ".join(sorted("no such column" if v is None else str(v) for v in values))


def shown(note):
    """A call as a reader would write it."""
    row = ", ".join(
        f"{key}: {'…' if value is None else value}" for key, value in note["data"].items()
    )
    step = f", step={note['step']}" if note["explicit"] else ""
    commit = f", commit={note['commit']}" if note["commit"] is not None else ""
    return f"log({{{row}}}{step}{commit})"
