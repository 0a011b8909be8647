# SPDX-License-Identifier: Apache-2.0
"""What wandb does with log calls, in a page of Python, for tests that need thousands of runs.

`test_native_model` holds it to the real one. Steps: above the counter the open row is
written and another opened, at the counter values join the open row, below it they are
dropped; without a step they join the open row and have it written.
"""

import os
import types
from collections.abc import Mapping


class Run:
    """One run: `rows` is what W&B has, `dropped` the data that it does not."""

    def __init__(self):
        self.sent = []
        self.rows = []
        self.dropped = []
        self.metrics = {}
        self.summary = Summary(self)
        self._settings = types.SimpleNamespace(_shared=False)
        self._init_pid = os.getpid()
        self._is_attached = False
        self._step = 0
        self._core_step = 0
        self._open = {}
        self._finished = False

    def log(self, data, step=None, commit=None):
        assert not self._finished
        self.sent += data.values() if isinstance(data, Mapping) else ()
        self._log(data, step, commit)

    def _log(self, data, step=None, commit=None):
        if not isinstance(data, Mapping) or any(not isinstance(key, str) for key in data):
            raise TypeError("wandb.log must be passed a dictionary with strings as keys")
        if any(isinstance(value, Unserializable) for value in data.values()):
            raise ValueError("not serializable")
        if step is not None and not hasattr(step, "__index__"):
            raise TypeError("step must be an integer")
        self._core_log(data, step, commit)
        if step is not None and step > self._step:
            self._step = step
        if commit or (step is None and commit is None):
            self._step += 1

    def _core_log(self, data, step, commit):
        if step is not None and step < self._core_step:
            self.dropped.append(dict(data))
            return
        if step is not None and step > self._core_step:
            self._write()
            self._core_step = step
        self._open.update(data)
        if commit or (step is None and commit is None):
            self._write()
            self._core_step += 1

    def define_metric(
        self, name, step_metric=None, step_sync=None, hidden=None, summary=None, overwrite=None
    ):
        new = {"step_metric": step_metric, "summary": summary}
        old = {} if overwrite else self.metrics.get(name, {})
        self.metrics[name] = {**new, **{k: v for k, v in old.items() if v and not new[k]}}

    def finish(self):
        self._finish()

    def _finish(self):
        self._write()
        self._finished = True

    @property
    def step(self):
        return self._core_step

    def __getstate__(self):
        return {"_init_pid": self._init_pid}

    def _summary_update_callback(self, summary_record):
        for item in summary_record.update:
            self.summary.values[".".join(item.key)] = item.value

    def _summary_get_current_summary_callback(self):
        return self.summary.values

    def _write(self):
        if self._open:
            self.rows.append({"_step": self._core_step, **self._open})
            for key, value in self._open.items():
                how = self.metrics.get(key, {}).get("summary")
                if how != "none":
                    known = self.summary.values.get(key, value)
                    self.summary.values[key] = min(known, value) if how == "min" else value
            self._open = {}


class Summary:
    """A run's summary, written as the user does and as rows do."""

    def __init__(self, run):
        self.values = {}
        self._update_callback = run._summary_update_callback

    def update(self, values):
        record = SummaryRecord()
        for key, value in values.items():
            item = SummaryItem()
            item.key, item.value = (key,), value
            record.update.append(item)
        self._update_callback(record)

    def __setitem__(self, key, value):
        self.update({key: value})


class SummaryRecord:
    def __init__(self):
        self.update = []


class SummaryItem:
    key, value = (), None


class Media:
    """Cannot wait in a row; tells one from another."""

    def __init__(self, number):
        self.number = number

    def __eq__(self, other):
        return type(other) is type(self) and other.number == self.number

    def __hash__(self):
        return self.number


class Unserializable(Media):
    """Refused."""
