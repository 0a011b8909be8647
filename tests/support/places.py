# SPDX-License-Identifier: Apache-2.0
"""Compares where W&B draws the values of a training with the step fix and without it.

A value that wandb alone keeps must lie in a row with the same columns of the user's axes.
A value that wandb alone drops must lie at the training step of its call; if wandb fills in
the axis of its key, then with the value that wandb would have filled in at the call.

Values are matched by key and number. So the numbers of a training must be unique, and its
two runs must send the same ones. Media are matched by key and order, where wandb alone
keeps them.
"""

from collections import Counter
from fnmatch import fnmatchcase

from support import native_model, patterns, wandb_file

OURS = "primus_lens/step"
STEPS = ("train/global_step", "trainer/global_step", "global_step")


def moved(alone, ours):
    """The moved values, each (key, value, expected, found), and how many were compared."""
    axes = Axes(alone.wandb)
    native, fixed = rows_by_value(alone.rows), rows_by_value(ours.rows)
    compared, wrong = 0, []
    media = ((*pair, {}) for pair in native if isinstance(pair[1], str))
    for key, value, if_dropped in (*values_sent(patterns.ranks(alone), axes), *media):
        kept, row = native.get((key, value)), fixed.get((key, value), {})
        expected = axes.columns(kept) if kept else if_dropped
        if not expected or (not row and is_number(value)):  # no axes, or counted as lost
            continue
        compared += 1
        found = {column: row.get(column) for column in expected}
        if found != expected:
            wrong.append((key, value, expected, found))
    return wrong, compared


class Axes:
    """The step metrics of a training, from the definitions in the files of wandb alone."""

    def __init__(self, runs):
        self._by_name = {k: v for records in runs for k, v in wandb_file.axes(records).items()}
        self._synced = set().union(*map(wandb_file.synced, runs))
        self._all = set(self._by_name.values())
        self._main = [self._by_name["*"]] if "*" in self._by_name else []

    def __contains__(self, key):
        return key in self._all

    def columns(self, row):
        """The axes' columns of a row."""
        return {axis: row.get(axis) for axis in self._all}

    def training_step(self, data):
        """The integer in a row's column of the main axis, or None."""
        shown = (data.get(axis) for axis in (*self._main, *STEPS))
        return next((step for step in shown if isinstance(step, int)), None)

    def filled_in(self, key):
        """The axis that wandb fills in beside this key (`step_sync`), or None."""
        matching = [name for name in self._by_name if fnmatchcase(key, name)]
        name = max(matching, key=lambda name: (name == key, len(name)), default=None)
        return self._by_name[name] if name in self._synced else None


def rows_by_value(rows):
    """The row of each (key, number); of the Nth table or other media, (key, "no. N")."""
    found, media = {}, Counter()
    for row in rows:
        for key, value in row.items():
            if is_number(value):
                found[key, value] = row
            elif key.endswith("._type"):  # the one field that all media have
                media[key] += 1
                found[key, f"no. {media[key]}"] = row
    return found


def is_number(value):
    return isinstance(value, (int, float))


def values_sent(ranks, axes):
    """(key, value, columns) of each value sent, with the columns expected if it is dropped."""
    for calls in ranks:
        for data, step, newest in calls_replayed(calls, axes):
            for key, value in data.items():
                axis = axes.filled_in(key)
                # Before any row has the axis, wandb fills in a zero since 0.18, and nothing before.
                filled = {axis: newest[axis]} if axis in newest else {}
                if key not in axes:
                    yield key, value, {OURS: step, **filled}


def calls_replayed(calls, axes):
    """(data, training step, newest value of each key) of each call of a run.

    The model of wandb tells which calls it drops: these show no step to later calls.
    """
    run, shown, newest = native_model.Run(), None, {}
    for data, step in calls:
        own = axes.training_step(data) if step is None else step
        known = (own, shown, run._core_step)  # wandb's counter if no step was ever shown
        yield data, next(s for s in known if s is not None), {**newest, **data}
        dropped = len(run.dropped)
        run.log(data, step)
        if len(run.dropped) == dropped:
            shown = shown if own is None else own
            newest.update(data)
