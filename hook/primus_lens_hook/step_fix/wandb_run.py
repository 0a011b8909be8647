# SPDX-License-Identifier: Apache-2.0
"""A run as wandb has it: its counter, its open row, its summary.

All calls of the step fix to wandb are here. It must never ask wandb's service a question: that
waits for another process, within a log call.
"""

# What wandb does with a step has been the same from 0.12.0 to 0.31: above its counter it ends the
# open row and opens another, at the counter the values join the open row, below it they are
# dropped; without a step they join the open row and end it.

from __future__ import annotations

import functools
import operator
import os
import sys
from collections.abc import Mapping
from typing import Any, Callable, Dict, NamedTuple, Optional, Tuple, Union

from primus_lens_hook.interruption import is_interruption
from primus_lens_hook.step_fix.late_media import encoded
from primus_lens_hook.step_fix.log_call import Delivery, LogCall
from primus_lens_hook.step_fix.metric_definitions import AXIS, MetricDefinitions
from primus_lens_hook.step_fix.row import EMPTY, Row, can_encode, copied
from primus_lens_hook.wandb_names import LATE_MEDIA, has_core, pid_of, summary_record
from primus_lens_hook.wandb_step import as_integer, counter_of

Path = Tuple[str, ...]


class Methods(NamedTuple):
    """wandb's own methods of `Run`, unpatched."""

    log: Callable[..., Any]
    """`(run, data, step, commit)`"""
    define_metric: Callable[..., Any]
    """`(run, name, …)`"""
    decline: Callable[[str, str], None]
    """Notes a part that does without something of this wandb, and why."""


class WandbRun:
    """One run; its caller holds a lock around everything."""

    def __init__(
        self, run: Any, methods: Methods, columns: Mapping[str, Any], mark: Mapping[str, Any]
    ) -> None:
        self.open: Union[Tuple[int, int], Row, None] = None
        """The row that wandb has open, or the step and the training step of one without axes."""
        self._run = run
        self.mark = mark
        """The column of the first row without AXIS; empty from then on.

        In each row it would cost the training as much as one more metric.
        """
        self._on_each_row = columns
        # The native functions, bound: `run._log` is ours by now, and would come back here.
        self.log = methods.log.__get__(run)
        self._define: Callable[..., Any] = lambda *given, **how: methods.define_metric(
            run, *given, **how
        )
        self.decline = methods.decline
        self._axis_defined = False
        owner, name = counter_of(run)
        self.read_step = functools.partial(operator.attrgetter(name), owner)
        self._has_core = has_core()
        # Not before wandb-core: the handler of 0.17 ends the summaries of nested values once any
        # metric is defined, and a run in order would lose them.
        self._may_define = self._has_core
        self.patched = getattr(sys.modules.get("wandb"), "patched", {})
        """Wandb's table of the modules that it has patched."""

    @property
    def open_row(self) -> Optional[Row]:
        """The row that wandb has open."""
        # Made when somebody asks: a run in order has one for each call, and nobody does.
        if isinstance(self.open, tuple):
            self.open = Row(*self.open, EMPTY)
        return self.open

    def counter(self) -> int:
        """The step of the open row."""
        step = self.read_step()
        return step if type(step) is int else as_integer(step) or 0

    @staticmethod
    def integer(step: Any) -> Optional[int]:
        """A step as this wandb reads it; None if it refuses it."""
        if type(step) is int:
            return as_integer(step)
        # Protobuf's own setter decides, since versions differ in what they take (5.0, numpy.int64,
        # True): a step that it refuses has to be refused at the call, by wandb itself.
        records = sys.modules.get("wandb.proto.wandb_internal_pb2")
        if hasattr(records, "PartialHistoryRequest"):
            try:
                records.PartialHistoryRequest().step.num = step  # type: ignore[union-attr]
            except Exception as error:  # whatever the __index__ of a step of the user's raises
                if is_interruption(error):
                    raise
                return None
        return as_integer(step)

    def free_step(self) -> int:
        """The first step that no row has."""
        return self.counter() + (self.open is not None)

    def forget_open_row(self) -> None:
        """Note that others have logged: there may be an open row, of unknown content."""
        self.open = Row(self.counter(), None, {})

    def send(
        self,
        delivery: Delivery,
        values: Mapping[str, Any],
        training_step: Optional[int],
        step: Any,
        commit: Optional[bool],
    ) -> Any:
        """Call wandb with the values and our columns; raises what wandb raises."""
        # An empty row gets no columns: it ends the open row. With one it would be a row itself.
        if not values:
            return delivery.hand_over(self.log, values, step, commit)
        columns = self.with_columns(values, training_step)
        answer = delivery.hand_over(self.log, columns, step, commit)
        if training_step is None:
            self.mark = {}
        return answer

    def with_columns(
        self, values: Mapping[str, Any], training_step: Optional[int]
    ) -> Dict[str, Any]:
        """A copy of the values with our columns for a row of this training step."""
        if training_step is None:
            return {**values, **self._on_each_row, **self.mark}
        if not self._axis_defined:
            self._define_axis()
        return {**values, **self._on_each_row, AXIS: training_step}

    def columns(self) -> Dict[str, Any]:
        """Our columns for a row that goes to wandb by another way."""
        return {**self.mark, **self._on_each_row}

    def send_as_is(self, call: LogCall) -> Any:
        """Give wandb a call as it came."""
        return call.hand_over(self.log, call.values, call.step, call.commit)

    def deferrable(self, call: LogCall) -> Optional[Dict[str, Any]]:
        """A late call's values in a form that can wait; None if there is none."""
        # What cannot wait as it is (media, arrays) is encoded now: wandb's exceptions come at the
        # call, and the values' owner may change them afterwards.
        values = copied(call.unwrapped)
        if values is None and all(map(can_encode, call.keys)):
            values = encoded(self._run, call, self.counter())
            if values is None:
                self.decline(LATE_MEDIA, "no history_dict_to_json as it was")
        return values

    def note_definition(self) -> None:
        """Note that the user has defined a metric: one of ours costs no summary any more."""
        # A pattern (`*`) takes in our column too, unless that is defined: wandb would fill in the
        # axis of the pattern for rows that have none in native wandb.
        self._may_define = True

    def end_open_row(self) -> None:
        """Have wandb write the row that it has open, if any."""
        # Where none is open, a call without values would make an empty row and use up a step.
        if self.open is not None:
            self.log({}, None, True)
            self.open = None

    def plot_over_axis(self, definitions: MetricDefinitions, values: Mapping[str, Any]) -> None:
        """Have wandb plot a row over its training step, but for keys that the user plots."""
        for key in definitions.to_plot(values):
            self._try_to_define(key, step_metric=AXIS, step_sync=False)

    def redefine(self, key: str, **how: Any) -> None:
        """Define a key that we had defined as the user's pattern has it."""
        self._try_to_define(key, overwrite=True, **how)

    def write_summary(self, values: Mapping[Path, Any]) -> None:
        """Put values into the run's summary, each under the path of its nested keys."""
        flat = {path[0]: value for path, value in values.items() if len(path) == 1}
        if flat:
            self._run.summary.update(flat)
        for path, value in values.items():
            # The handler before wandb-core takes nested keys only below a dict that it has.
            if len(path) > 1 and self._has_core:
                # Not summary[path[0]][path[1]]: that asks wandb's service, which may hang. vars,
                # since a name that Summary lacks is looked up as a key, in the service too.
                vars(self._run.summary)["_update_callback"](summary_record(path, value))

    def is_foreign(self) -> bool:
        """Whether another process began the run, and shares its counter with us."""
        return bool(pid_of(self._run) != os.getpid())

    def can_repair_steps(self, foreign: bool) -> bool:
        """Whether the steps of this process's calls can be repaired; else they are wandb's."""
        # wandb itself ignores them in shared mode; 0.12.0 ignores what forked children log. A run
        # that is attached by its id belongs to a process that cannot be told of us: wandb has to
        # have each call as native wandb would, or rows of that process would be dropped.
        run = self._run
        if getattr(getattr(run, "_settings", None), "_shared", False) is True:
            return False
        return not self.is_attached_by_id() and (hasattr(run, "_init_pid") or not foreign)

    def is_attached_by_id(self) -> bool:
        """Whether this process has attached to a run of another one by its id (wandb._attach)."""
        # A pickled run is attached too, but knows the process that it is from.
        return bool(getattr(self._run, "_is_attached", False)) and not self.is_foreign()

    @property
    def initial_axis_value(self) -> Optional[int]:
        """What wandb fills in for an axis that no row has had: wandb-core has a zero."""
        return 0 if self._has_core else None

    def _define_axis(self) -> None:
        """Have wandb neither chart nor summarize our column."""
        if self._may_define:
            self._axis_defined = True
            self._try_to_define(AXIS, hidden=True, summary="none")

    def _try_to_define(self, key: str, **how: Any) -> None:
        # A dot in a name stands for a nested key to wandb, unless it is escaped. A key such as
        # `f1*100` is refused (stars are for patterns): when the exception ended the step fix, 35
        # values that native wandb keeps were lost. Where they are drawn matters less.
        try:
            self._define(key.replace(".", "\\."), **how)
        except Exception as error:
            if is_interruption(error):
                raise
