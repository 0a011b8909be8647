# SPDX-License-Identifier: Apache-2.0
"""The newest value of every series, kept as text that is ready but for the number.

A family is two lists: the numbers, and the text before each number. A page is made by one
call that prints all numbers and one that joins, whatever the count of series. Pure: no
files, no clock.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from itertools import groupby
from operator import attrgetter
from typing import Any

import orjson
from primus_lens_hook import contract

from primus_lens_exporter.decode import Record
from primus_lens_exporter.runinfo import RunInfo

Labels = tuple[tuple[str, str], ...]

NON_FINITE = {
    contract.NOT_A_NUMBER: math.nan,
    contract.POSITIVE_INFINITY: math.inf,
    contract.NEGATIVE_INFINITY: -math.inf,
}

STEP_FIX = {
    "logs": "Log calls that passed through the step fix.",
    "conflicts": "Log calls that wandb alone would have dropped for their step.",
    "dropped": "Rows that wandb would not take in the end.",
    "flushes": "Times that waiting rows went to wandb.",
}


def label_text(labels: Iterable[tuple[str, str]]) -> str:
    """`name="value",…` as the text format escapes it (Prometheus exposition formats)."""
    return ",".join(f'{name}="{_escape(value)}"' for name, value in labels)


def _escape(value: str) -> str:
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


class Family:
    """One metric family. `values[slot]` is the number of the series `add` returned."""

    def __init__(self, name: str, kind: str, help: str) -> None:
        self.name = name
        self.values: list[float] = []
        self._head = f"# HELP {name} {help}\n# TYPE {name} {kind}".encode()
        self._parts: list[bytes] = []  # text, number, text, number, …
        self._free: list[int] = []

    def __len__(self) -> int:
        return len(self.values) - len(self._free)

    def add(self, labels: str, value: float = 0.0) -> int:
        """A new series with these labels (as `label_text` makes them); returns its slot."""
        # Lone surrogates are legal in JSON strings and nowhere else.
        text = f"\n{self.name}{{{labels}}} ".encode("utf-8", "replace")
        if self._free:
            slot = self._free.pop()
            self.values[slot] = value
            self._parts[2 * slot] = text
            return slot
        self.values.append(value)
        self._parts += (text, b"")
        return len(self.values) - 1

    def remove(self, slot: int) -> None:
        """End a series; its slot will be another's."""
        self._parts[2 * slot] = b""
        self._free.append(slot)

    def pieces(self) -> list[bytes]:
        """The family in the text format, to be joined; nothing while it has no series."""
        if not len(self):
            return []
        printed = orjson.dumps(self.values)
        numbers = printed.split(b",")
        numbers[0] = numbers[0][1:]  # the brackets of the JSON array
        numbers[-1] = numbers[-1][:-1]
        if b"null" in printed:  # JSON has no word for them
            _name_non_finite(numbers, self.values)
        self._parts[1::2] = numbers
        for slot in self._free:
            self._parts[2 * slot + 1] = b""
        return [self._head, *self._parts, b"\n"]


def _name_non_finite(numbers: list[bytes], values: list[float]) -> None:
    for slot, number in enumerate(numbers):
        if number == b"null":
            value = values[slot]
            numbers[slot] = b"NaN" if math.isnan(value) else b"+Inf" if value > 0 else b"-Inf"


class Store:
    """All series of all runs, by family; `generation` changes whenever a page would."""

    def __init__(self) -> None:
        self.generation = 0
        self.metric = Family(
            "primus_lens_wandb_metric", "gauge", "Newest value logged under each key."
        )
        self.step = Family("primus_lens_wandb_step", "gauge", "Newest step of the run.")
        self.timestamp = Family(
            "primus_lens_wandb_last_record_timestamp_seconds",
            "gauge",
            "Time of the newest log call, in seconds since the epoch.",
        )
        self.records = Family(
            "primus_lens_wandb_records_total",
            "counter",
            "Log calls read from the rank's files.",
        )
        self.info = Family(
            "primus_lens_wandb_run_info",
            "gauge",
            "What W&B knows the run by; always 1.",
        )
        self.step_fix = {
            name: Family(f"primus_lens_wandb_step_fix_{name}_total", "counter", text)
            for name, text in STEP_FIX.items()
        }
        self._runs: dict[tuple[Labels, str], RunSeries] = {}

    @property
    def families(self) -> tuple[Family, ...]:
        """In the order of the page."""
        known = (self.metric, self.step, self.timestamp, self.records, self.info)
        return (*known, *self.step_fix.values())

    def __len__(self) -> int:
        return sum(len(family) for family in self.families)

    def apply(self, identity: Labels, records: list[Record], holder: object) -> None:
        """Take over a batch of one rank, in order; `holder` keeps its runs alive."""
        self.generation += 1
        for run_id, group in groupby(records, attrgetter("run")):
            self._run(identity, run_id, holder).apply(list(group))

    def describe(self, identity: Labels, run_id: str, info: RunInfo, holder: object) -> bool:
        """Take over what is known of a run; False while it has not logged yet."""
        if (identity, run_id) not in self._runs:
            return False
        self.generation += 1
        self._run(identity, run_id, holder).describe(info)
        return True

    def release(self, holder: object) -> None:
        """End the series of the runs that nobody but `holder` held."""
        self.generation += 1
        for key, run in list(self._runs.items()):
            run.holders.discard(holder)
            if not run.holders:
                run.remove()
                del self._runs[key]

    def render(self) -> bytes:
        """All families in the text format, version 0.0.4."""
        pieces: list[bytes] = []
        for family in self.families:
            pieces += family.pieces()
        return b"".join(pieces)  # once: a page of megabytes is costly to copy

    def _run(self, identity: Labels, run_id: str, holder: object) -> RunSeries:
        run = self._runs.get((identity, run_id))
        if run is None:
            labels = label_text((*identity, ("run_id", run_id)))
            run = self._runs[identity, run_id] = RunSeries(self, labels)
        run.holders.add(holder)
        return run


class RunSeries:
    """The series of one run on one rank."""

    __slots__ = (
        "_info",
        "_keys",
        "_labels",
        "_records",
        "_step",
        "_step_fix",
        "_store",
        "_timestamp",
        "holders",
    )

    def __init__(self, store: Store, labels: str) -> None:
        self.holders: set[object] = set()
        self._store = store
        self._labels = labels
        self._keys: dict[str, int] = {}
        self._records = store.records.add(labels)
        self._timestamp = store.timestamp.add(labels)
        self._step: int | None = None
        self._info: tuple[str, int] | None = None
        self._step_fix: dict[str, int] = {}

    def apply(self, records: list[Record]) -> None:
        """Keep the newest value of each key; count the rest."""
        store = self._store
        store.records.values[self._records] += len(records)
        store.timestamp.values[self._timestamp] = records[-1].timestamp
        newest: dict[str, Any] = {}
        step = None
        for record in records:
            newest.update(record.data)
            if record.step is not None:
                step = record.step
        if step is not None:
            if self._step is None:
                self._step = store.step.add(self._labels)
            store.step.values[self._step] = as_float(step) or 0.0
        self._set(newest)

    def describe(self, info: RunInfo) -> None:
        """Replace the run's info series if it says something new; take the counters over."""
        known = label_text(info.labels.items())
        labels = f"{self._labels},{known}" if known else self._labels
        if self._info is None or self._info[0] != labels:
            if self._info is not None:
                self._store.info.remove(self._info[1])
            self._info = labels, self._store.info.add(labels, 1.0)
        for name, family in self._store.step_fix.items() if info.step_fix else ():
            if name not in self._step_fix:
                self._step_fix[name] = family.add(self._labels)
            family.values[self._step_fix[name]] = as_float(info.step_fix.get(name, 0)) or 0.0

    def remove(self) -> None:
        store = self._store
        for slot in self._keys.values():
            store.metric.remove(slot)
        store.records.remove(self._records)
        store.timestamp.remove(self._timestamp)
        if self._step is not None:
            store.step.remove(self._step)
        if self._info is not None:
            store.info.remove(self._info[1])
        for name, slot in self._step_fix.items():
            store.step_fix[name].remove(slot)

    def _set(self, newest: dict[str, Any]) -> None:
        newest.pop(contract.ROW_MARK, None)
        metric, keys = self._store.metric, self._keys
        values = metric.values
        for key, value in newest.items():
            number = value if type(value) is float else as_float(value)
            if number is None:
                continue
            slot = keys.get(key)
            if slot is None:
                keys[key] = metric.add(f"{self._labels},{label_text([('key', key)])}", number)
            else:
                values[slot] = number


def as_float(value: object) -> float | None:
    """The number that a JSON value stands for; None for text, media and null."""
    if isinstance(value, (int, float)):
        try:
            return float(value)
        except OverflowError:  # an int of 400 digits
            return math.inf if value > 0 else -math.inf
    return NON_FINITE.get(value) if isinstance(value, str) else None
