# SPDX-License-Identifier: Apache-2.0
"""The samples since the last commit, and the state that is committed with them."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from operator import itemgetter

from primus_lens_exporter.model.sample import Clock, Sample
from primus_lens_exporter.sending.counter_starts import CounterStarts
from primus_lens_exporter.sending.spool import Commit, Entry
from primus_lens_exporter.sending.wire_format import REQUEST_SAMPLES, WireFormat


@dataclasses.dataclass(slots=True)
class Batch:
    """Samples, and the state behind them. None stands for what is to be forgotten."""

    samples: list[Sample] = dataclasses.field(default_factory=list)
    positions: dict[str, int | None] = dataclasses.field(default_factory=dict)
    clocks: dict[bytes, Clock | None] = dataclasses.field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.samples or self.positions or self.clocks)

    def add(self, samples: list[Sample]) -> None:
        self.samples += samples
        if self.clocks:  # a run that was over goes on
            for series, _, _ in samples:
                self.clocks.pop(series.id, None)

    def forget(self, series: list[bytes]) -> None:
        """Their runs are over."""
        self.clocks.update(dict.fromkeys(series))

    def stop_clocks(self) -> None:
        """Note where the times stand, before more is taken."""
        for series in {sample[0] for sample in self.samples}:
            self.clocks.setdefault(series.id, (series.last, series.newest))

    def commit(self, form: WireFormat, starts: CounterStarts) -> Commit:
        """As the spool wants it; costs 2 ms for each full request. To be called once."""
        entries = list(self._entries(form, starts))
        for series, clock in self.clocks.items():
            if clock is None:
                starts.forget(series)
        return Commit(entries, self.positions, self.clocks, starts.take_changes())

    def _entries(self, form: WireFormat, starts: CounterStarts) -> Iterator[Entry]:
        samples = sorted(self.samples, key=itemgetter(1))  # of all ranks: see `pace`
        for start in range(0, len(samples), REQUEST_SAMPLES):
            part = samples[start : start + REQUEST_SAMPLES]
            yield Entry(0, form.encode(part, starts), len(part), part[-1][1])
