# SPDX-License-Identifier: Apache-2.0
"""The training step that each call meant, and whether its row is late (rule 3).

Two points of the rule can be read in two ways; a call has one answer for each reading, and
any of them is accepted.
"""

import itertools
from typing import NamedTuple

AXES = ("train/global_step", "trainer/global_step", "global_step")
ANY = float("inf")  # a step that nobody can tell
READINGS = tuple(itertools.product((False, True), repeat=2))


class Meant:
    """Answers for the calls of one run: `steps[n]` and `late[n]` are sets."""

    def __init__(self, native):
        self.readings = [Reading(native, *each).answers for each in READINGS]
        self.steps = [{answer.step for answer in each} for each in zip(*self.readings, strict=True)]
        self.late = [{answer.late for answer in each} for each in zip(*self.readings, strict=True)]


class Answer(NamedTuple):
    step: int
    late: bool
    rewinds: int  # of the run so far


class Reading:
    """One reading of the rule.

    `last_shows`: of several rows with the newest step it is the last whose keys may rewind.
    `must_follow`: a rewind is two rows in a row, none with other keys between them.
    """

    def __init__(self, native, last_shows, must_follow):
        self._last_shows = last_shows
        self._must_follow = must_follow
        self._resumed = False
        self._told = None
        self._begin()
        self.answers = list(self._answers(native))

    def _begin(self):
        self._newest = None
        self._keys = None  # of the row that showed the newest step
        self._back_at = None  # step of a row with these keys that went back
        self._times = 0  # rewinds so far

    def _answers(self, native):
        fates = iter(native.fates)
        for note in native.notes:
            if note["kind"] == "tell":
                self._told = note["step"]
            elif note["kind"] == "begin":
                self._begin()
                self._resumed = note["step"] > 0
            elif note["kind"] == "log":
                fate = next(fates)
                # Who knows what another process has shown?
                yield self._answer(note, fate) if note["main"] else Answer(None, None, 0)

    def _answer(self, note, fate):
        shown = note["step"]
        if shown is None:
            shown = on_axis(note["data"], fate.main_axis)
        if note["error"]:
            return Answer(shown, False, self._times)
        late = shown is not None and self._show(shown, note["keys"])
        # A resumed run goes on behind the late rows, which native wandb has not.
        counter = ANY if self._resumed else fate.counter
        known = (shown, self._told, self._newest, counter)
        return Answer(next(x for x in known if x is not None), late, self._times)

    def _show(self, step, keys):
        """Whether a row that shows this step is late."""
        same = keys == self._keys
        if self._newest is None or step > self._newest:
            self._newest, self._keys, self._back_at = step, keys, None
            return False
        if step == self._newest:
            if self._last_shows:
                self._keys = keys
            if same:
                self._back_at = None
            return False
        if same and self._back_at is not None and step > self._back_at:
            self._newest, self._back_at = step, None
            self._times += 1
            return False
        if same:
            self._back_at = step
        elif self._must_follow:
            self._back_at = None
        return True


def on_axis(data, axis):
    """The integer under the run's main axis."""
    for name in (axis,) if axis else AXES:
        value = data.get(name)
        if value is not None and value == int(value):
            return int(value)
    return None
