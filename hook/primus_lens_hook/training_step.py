# SPDX-License-Identifier: Apache-2.0
"""Which training step a log call belongs to, and whether its row came late.

It knows the order in which the sources of a step are believed. It must never guess from the
axis of a part of a run (`epoch/epoch`, `batch/batch_step`): those are columns.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Optional, Tuple

from primus_lens_hook.wandb_step import as_integer

# The training step in a row that names none, by framework: transformers and TRL, Lightning,
# torchtune. Looked up in this order.
MAIN_AXES = ("train/global_step", "trainer/global_step", "global_step")


class TrainingStep:
    """The training step of one run, from the rows that wandb took.

    The caller holds a lock around `note` and `set`; `of` changes nothing and needs none.
    """

    __slots__ = ("_back", "_leader", "axes", "given", "newest", "rewinds")

    def __init__(self) -> None:
        self.axes: Tuple[str, ...] = MAIN_AXES
        self.newest: Optional[int] = None
        """The newest training step shown by a row that was not late."""
        self.rewinds = 0
        """How often the training went back to an earlier checkpoint."""
        self.given: Optional[int] = None
        """The step given to `update_training_step()`."""
        self._leader: Tuple[str, ...] = ()  # keys of the row that showed the newest step
        self._back: Optional[int] = None  # where rows with these keys went back to, if they did

    def set_main_axis(self, axis: str) -> None:
        """Believe this column first: the user's `define_metric("*", step_metric=axis)`."""
        self.axes = (axis, *(known for known in MAIN_AXES if known != axis))

    def set(self, step: int) -> None:
        """Set the step given to `update_training_step()`."""
        # The one source that is no guess: no second row is waited for before it counts.
        self.rewinds += self.newest is not None and step < self.newest
        self.given = self.newest = step
        self._leader, self._back = (), None

    def of(
        self, explicit: Optional[int], values: Mapping[str, Any], keys: Tuple[str, ...]
    ) -> Tuple[Optional[int], Optional[int], bool]:
        """The step that a call shows itself, its training step, and whether its row is late.

        The training step is None while no row of the run has shown one: then wandb's counter
        is the best that is known.
        """
        # wandb's counter is no answer here: it counts rows. When a row without a step took it, the
        # records of a training with transformers' callback jumped from step 110 to 40 and 39.
        shown = self._on_an_axis(values) if explicit is None else explicit
        newest = self.newest
        if shown is None:
            step = newest if self.given is None else self.given
            return None, step, step is not None and newest is not None and step < newest
        if newest is None or shown >= newest:
            return shown, shown, False
        return shown, shown, not self._rewinds(shown, keys)

    def note(self, shown: int, keys: Tuple[str, ...]) -> None:
        """Remember what a row shows that wandb took."""
        if self.newest is not None and shown < self.newest:
            if not self._rewinds(shown, keys):
                # Other keys: a callback or an evaluation that lags. It says nothing of where the
                # training is, even if it goes on upwards from there.
                if self._leads(keys):
                    self._back = shown
                return
            self.rewinds += 1
        self.newest, self._leader, self._back = shown, keys, None

    def _on_an_axis(self, values: Mapping[str, Any]) -> Optional[int]:
        # A bool counts as an int, and a flag that is called like an axis would be step 1.
        for axis in self.axes:
            if axis in values and type(values[axis]) is not bool:
                step = as_integer(values[axis])
                if step is not None:
                    return step
        return None

    def _rewinds(self, shown: int, keys: Tuple[str, ...]) -> bool:
        """Whether the training itself went back, to an earlier checkpoint.

        One row further back may be a straggler of another thread. When the rows that lead
        the run go on upwards from there, the training is there.
        """
        # Read once: `of` holds no lock, and another thread may set it to None at any moment.
        back = self._back
        return back is not None and shown > back and self._leads(keys)

    def _leads(self, keys: Tuple[str, ...]) -> bool:
        """Whether a row has the keys of the one that showed the newest step, in any order."""
        return set(keys) == set(self._leader)
