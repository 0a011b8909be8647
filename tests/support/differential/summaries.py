# SPDX-License-Identifier: Apache-2.0
"""Rule 4: what reads of the summary answer after each call, and what it is in the end."""

from support.differential import native
from support.differential.outcome import flat, parents, same
from support.differential.rules import shown, some

NOTHING = "(no such key)"
PRESENT = "(some value)"


class Reads:
    """The reads of one run."""

    def __init__(self, rules, native_outcome, hooked):
        self._rules = rules
        self._outcomes = native_outcome, hooked
        self._is_hooked = hooked.is_hooked

    def broken(self):
        name = self._rules.name
        notes = zip(*(each.notes_of(name) for each in self._outcomes), strict=False)
        for number, (one, other) in enumerate(notes):
            if one["kind"] == "read" and other["kind"] == "read":
                where = f"summary read ({one['how']}) after {self._last_call(number)}"
                for key, had, has in pairs(one, other):
                    yield from self._check(where, number, key, had, has)
        end = len(self._rules.notes)
        had, has = (outcome.summaries.get(name, {}) for outcome in self._outcomes)
        for key in sorted(had.keys() | has.keys()):
            values = had.get(key, NOTHING), has.get(key, NOTHING)
            yield from self._check("summary in the end", end, key, *values)

    def _check(self, where, number, key, had, has):
        if key.startswith(("_", "primus_lens/")) or same(had, has):
            return
        if self._is_hooked and self._has_dropped(number, key):
            right = self._newest(number, key)
            if right is None or has is PRESENT or any(same(has, each) for each in right):
                return
            text = f"{where}: {key}={has} instead of {some(right)}, the newest by step"
        elif has in (0, PRESENT) and had is NOTHING and key in self._rules.axes:
            return  # filled in where no row ever had the axis
        else:
            text = f"{where}: {key}={has}, native {had}"
        yield self._rules.broken(4, text)

    def _has_dropped(self, number, key):
        """Whether native has dropped a value of the key so far."""
        for fate in self._rules.model.fates:
            if fate.number < number and self._touches(fate, key):
                ended = [fate.overwritten.get(each, number) for each in parents(key)]
                doubled = self._keeps_both(key) and min(ended) < number
                if fate.outcome == native.DROPPED or doubled:
                    return True
        return False

    def _touches(self, fate, key):
        return any(key in parents(each) or each in parents(key) for each in fate.note["data"])

    def _keeps_both(self, key):
        """Whether a value is kept that a later one overwrites: not of an axis."""
        return self._rules.keep_duplicates and key not in self._rules.axes

    def _newest(self, number, key):
        """The values that may be called the newest by step; None where any will do."""
        written = {n["key"] for n in self._rules.notes[:number] if n["kind"] == "write"}
        if key in written or self._rules.model.definitions.is_summarized(key):
            return None
        found = set()
        for reading in self._rules.meant.readings:
            for with_open in (True, False):
                found |= self._newest_of(reading, number, key, with_open)
        return None if None in found else found

    def _newest_of(self, reading, number, key, with_open):
        calls = [
            (answer, fate)
            for answer, fate in zip(reading, self._rules.model.fates, strict=True)
            if fate.number < number
            and fate.outcome in {native.DROPPED, native.KEPT}
            and self._touches(fate, key)
            and self._is_shown(fate, number, key, with_open)
        ]
        if not calls:
            return set()
        ways = (
            lambda each: (each[0].step, each[1].number),
            lambda each: (each[0].rewinds, each[0].step, each[1].number),
        )
        newest = [max(calls, key=way)[1].note["data"] for way in ways]
        return {row.get(key) for row in newest}

    def _is_shown(self, fate, number, key, with_open):
        """Whether the summary may have a value of this call; `with_open`: before its row ends."""
        overwritten = key in fate.overwritten
        if overwritten and fate.overwritten[key] < number:
            return self._keeps_both(key)
        ended = not overwritten and (fate.flushed_by is None or fate.flushed_by < number)
        return with_open or ended

    def _last_call(self, number):
        calls = [note for note in self._rules.notes[:number] if note["kind"] == "log"]
        return shown(calls[-1]) if calls else "nothing"


def pairs(one, other):
    """(key, what native answered, what the hooked process answered) of one read."""
    if one["how"] in {"all", "keys"} and not (one["error"] or other["error"]):
        had, has = (as_dict(note) for note in (one, other))
        for key in sorted(had.keys() | has.keys()):
            yield key, had.get(key, NOTHING), has.get(key, NOTHING)
    else:
        yield one["key"] or "", answer(one), answer(other)


def as_dict(note):
    answers = note["answer"]
    return flat(answers) if note["how"] == "all" else dict.fromkeys(answers, PRESENT)


def answer(note):
    if note["error"]:
        return NOTHING if note["error"].startswith("KeyError") else note["error"]
    return NOTHING if note["answer"] == "nothing" else note["answer"]
