# SPDX-License-Identifier: Apache-2.0
"""What a hooked life must share with the native one, and what its records must hold.

1 the same end; 2 the same output; 3 the same notes: exceptions, children, answers; 4 the user's
files byte for byte; 5 what native W&B keeps is kept; 6 each line whole, JSON, and there once;
7 each call that returned is recorded, unless its disk was failing; 8 one warning a kind, and no
internal error.
"""

import itertools
import json
import re
from collections import Counter, defaultdict
from typing import NamedTuple

from primus_lens_hook import contract

from support.hostile_hook import places
from support.hostile_hook.actions.notes import FORGOTTEN

NOTHING = ("nothing more",)
FAULT = "internal error"
SAMPLES = contract.ENV_ENHANCE_METRICS
SMALL = contract.ENV_MAX_BYTES  # older lines are deleted


class Difference(NamedTuple):
    rule: int
    kind: str  # what lives of the same cause have in common
    text: str

    def __str__(self):
        return f"rule {self.rule}, {self.kind}: {self.text}"


def compare(native, hooked):
    """The differences; none where native itself hangs."""
    if str(native.status).startswith("hung"):
        return []
    if str(hooked.status).startswith("hung"):
        return [Difference(1, "hung", f"{hooked.status}, natively ends with {native.status}")]
    found = [*ends(native, hooked), *notes(native, hooked), *files(native, hooked)]
    found += [*rows(native, hooked), *recorded(hooked), *lines(hooked), *warnings(hooked)]
    return found


def ends(native, hooked):
    # Python forgets that it ends by Ctrl-C when another thread imports a module with named tuples,
    # which they make by exec(): the sampler, in its first moments.
    forgotten = (native.status, hooked.status) == (-2, 1) and SAMPLES in dict(native.life.env)
    if native.status != hooked.status and not forgotten:
        text = f"ends with {hooked.status}, natively with {native.status}"
        yield Difference(1, f"{hooked.status} for {native.status}", text)
    for name in ("stdout", "stderr"):
        one, other = getattr(native, name), getattr(hooked, name)
        if one != other:
            yield Difference(2, name, f"is {other[-900:]!r}, natively {one[-900:]!r}")


def notes(native, hooked):
    told = [by_who(each) for each in (native, hooked)]
    for who in sorted(told[0].keys() | told[1].keys()):
        pairs = itertools.zip_longest(*(each.get(who, []) for each in told), fillvalue=NOTHING)
        for one, other in pairs:
            if one != other:
                kind = one[0] if one[0] == other[0] else f"{other[0]} for {one[0]}"
                yield Difference(3, kind, f"{who} notes {other}, natively {one}")
                break


def by_who(outcome):
    found = defaultdict(list)
    for note in outcome.notes:
        if not note.loose:
            found[note.who].append((note.kind, note.what, note.number))
    return found


def files(native, hooked):
    for name in sorted(native.files.keys() | hooked.files.keys()):
        one, other = native.files.get(name), hooked.files.get(name)
        if one != other:
            kind = (
                "ours" if b"_primus" in (other or b"") else "missing" if other is None else "other"
            )
            kind = "too many" if one is None else kind
            yield Difference(4, kind, f"{name} is {short(other)}, natively {short(one)}")


def short(content):
    if content is None:
        return "missing"
    return f"{len(content)} bytes that end with {content[-80:]!r}"


def rows(native, hooked):
    # A call more, of a handler within the hook's own lines, moves wandb's counter: rows that name
    # their step join other ones then, as they would natively behind the same calls.
    if native.life.names_steps and loose(native) != loose(hooked):
        return
    returned = {note.number for note in hooked.notes if note.kind == "logged"}
    lost = (native.kept & returned) - hooked.kept
    if lost and not native.life.ends_abruptly:
        yield Difference(5, "lost", f"W&B has not the rows {sorted(lost)[:9]}, which native keeps")


def loose(outcome):
    """How many calls were logged that may differ from life to life."""
    return sum(note.loose and note.kind == "logged" for note in outcome.notes)


def lines(hooked):
    numbers = Counter()
    for name, text in hooked.records.items():
        if text and not text.endswith(b"\n"):
            yield Difference(6, "torn", f"{name} ends within a line: {text[-80:]!r}")
    for line in hooked.lines:
        try:
            number = strictly(line)["data"].get("n")
        except (ValueError, KeyError, TypeError, AttributeError):
            yield Difference(6, "no record", f"not a record: {line[:90]!r}")
        else:
            numbers[number if isinstance(number, int) else None] += 1
    for number, times in numbers.items():
        if times > 1 and number is not None:
            yield Difference(6, "doubled", f"row {number} is recorded {times} times")


def strictly(line):
    """What the exporter's decoder accepts: neither NaN nor half a character."""
    record = json.loads(line, parse_constant=lambda name: [][name])
    json.dumps(record, ensure_ascii=False).encode()
    return record


def recorded(hooked):
    """Rule 7. After an internal error nothing is recorded: rule 8 tells of that."""
    life, failed = hooked.life, any(FAULT in line for line in hooked.complaints)
    if not hooked.hooked or failed or life.place in places.LOSES or SMALL in dict(life.env):
        return
    there = numbers_of(hooked.lines)
    gone = [number for number, note in enumerate(hooked.notes) if note.kind == FORGOTTEN]
    returned = [note for note in hooked.notes[max(gone, default=0) :] if note.kind == "logged"]
    missing = [note for note in returned if not note.exempt and note.number not in there]
    missing = [note for note in missing if note.number is not None]
    if missing:
        some = ", ".join(f"{each.who}'s {each.number}" for each in missing[:6])
        told = next(map(fault_of, hooked.complaints), "in silence")
        yield Difference(7, told, f"{len(missing)} calls are not recorded: {some}; {told}")


def numbers_of(lines):
    return {int(each) for line in lines for each in re.findall(rb'"data":{"n":(\d+)', line)}


def fault_of(line):
    """A line of ours, without its values."""
    return re.sub(r"'[^']*'|/\S+|\d+", "…", line.strip().removeprefix("primus-lens: "))[:90]


def warnings(hooked):
    programs = len({(note.pid, note.who) for note in hooked.notes}) or 1  # exec keeps the pid
    kinds = Counter(" ".join(line.split()[1:5]) for line in hooked.complaints)
    for kind, times in kinds.items():
        if times > programs:
            yield Difference(8, "repeated", f"{times} times on stderr: {kind} …")
    for line in hooked.complaints:
        if FAULT in line:
            yield Difference(8, fault_of(line), line.strip())
