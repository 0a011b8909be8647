# SPDX-License-Identifier: Apache-2.0
"""What wandb alone does with the calls of one run, as far as the rules ask for it.

The rows themselves are read from native's own file. This model only tells why a value is
not in them (late, or overwritten), what wandb's counter was, and what `step_sync` would
have filled in.
"""

KEPT, DROPPED, OVERWRITTEN, REFUSED = "kept", "dropped", "overwritten", "refused"


class Fate:
    """What became of one log call."""

    def __init__(self, number, note, counter, main_axis):
        self.number = number  # among the run's notes
        self.note = note
        self.outcome = KEPT
        self.main_axis = main_axis  # at the call
        self.counter = counter  # wandb's at the call
        self.overwritten = {}  # of its keys: the number of the call that did
        self.synced = {}  # axis -> the numbers that wandb may fill in; None: no column
        self.flushed_by = None  # the number of the call that ended its row


class NativeRun:
    """`fates` has one entry for each log call, in their order."""

    def __init__(self, notes):
        self.notes = notes
        self.definitions = Definitions()
        self.fates = []
        self._counter = 0
        self._open = {}  # key -> the fate of the call that its value is from
        self._latest = {}  # key -> last number in a written row
        for number, note in enumerate(notes):
            if note["kind"] == "define" and not note["error"]:
                self.definitions.define(note["name"], note["how"], dict(self._latest))
            elif note["kind"] == "begin":
                self._flush(number)
                self._counter = note["step"]
            elif note["kind"] == "log":
                self._log(number, note)
        self._flush(len(notes))

    def _log(self, number, note):
        fate = Fate(number, note, self._counter, self.definitions.main_axis)
        self.fates.append(fate)
        if note["error"]:
            fate.outcome = REFUSED
            return
        fate.synced = self._synced(note)
        step = note["step"]
        if step is not None and step < self._counter:
            fate.outcome = DROPPED
            return
        if step is not None and step > self._counter:
            self._flush(number)
            self._counter = step
        for key in note["data"]:
            if key in self._open:
                self._open[key].overwritten[key] = number
            self._open[key] = fate
        if note["commit"] or (step is None and note["commit"] is None):
            self._flush(number)
            self._counter += 1

    def _flush(self, number):
        for key, fate in self._open.items():
            fate.flushed_by = number
            self.definitions.bind(key)
            if fate.note["data"][key] is not None:
                self._latest[key] = fate.note["data"][key]
        self._open = {}

    def _synced(self, note):
        """Of each axis that a key is synced to: what wandb would take for its newest number."""
        found = {}
        for key in note["data"]:
            for axis, sure in self.definitions.synced_axes(key):
                if axis in note["data"]:
                    continue
                found.setdefault(axis, set()).update(self._newest(axis) if sure else {None})
                if not sure:
                    found[axis].update(self._newest(axis))
        return found

    def _newest(self, axis):
        if axis in self._open:
            return {self._open[axis].note["data"][axis]}
        before = self.definitions.seen_before(axis)
        if axis not in self._latest:
            return {None, 0}
        if self._latest[axis] == before:  # newer wandb only tracks what comes after the definition
            return {before, None, 0}
        return {self._latest[axis]}


class Definitions:
    """What `define_metric` was told."""

    def __init__(self):
        self.axes = set()
        self.summarized = set()
        self._exact = {}  # name -> (step metric, synced)
        self._globs = {}  # prefix -> the same
        self._seen_before = {}  # axis -> its newest number when it was named

    def define(self, name, how, latest):
        axis = how.get("step_metric")
        known = self._globs if name.endswith("*") else self._exact
        name = name.removesuffix("*")
        before = (None, False) if how.get("overwrite") else known.get(name, (None, False))
        if axis:
            self.axes.add(axis)
            self._seen_before.setdefault(axis, latest.get(axis))
        synced = bool(how.get("step_sync", axis is not None)) or before[1]
        known[name] = (axis or before[0], synced)
        if how.get("summary"):
            self.summarized.add((name, known is self._globs))

    def bind(self, key):
        """A pattern becomes the definition of a key when the first row with it is written."""
        matching = [how for prefix, how in self._globs.items() if key.startswith(prefix)]
        if key not in self._exact and len(matching) == 1:
            self._exact[key] = matching[0]

    def seen_before(self, axis):
        return self._seen_before.get(axis)

    @property
    def main_axis(self):
        """The step metric of a `*` glob."""
        return self._globs.get("", (None, False))[0]

    def synced_axes(self, key):
        """(axis, whether that is certain) for each axis that wandb fills in beside the key."""
        if key in self._exact:
            matching = [self._exact[key]]
        else:
            matching = [how for prefix, how in self._globs.items() if key.startswith(prefix)]
        # Old versions escape dots, and of several globs any may win.
        sure = len(matching) == 1 and "." not in key
        return [(axis, sure) for axis, synced in matching if axis and synced]

    def is_summarized(self, key):
        return any(
            key.startswith(name) if is_glob else key == name for name, is_glob in self.summarized
        )
