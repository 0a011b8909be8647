# SPDX-License-Identifier: Apache-2.0
"""Records as OpenMetrics with the times at which they were logged, for Prometheus' TSDB.

A stream: memory does not grow with the files. The samples are those of remote write.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from itertools import groupby, islice
from pathlib import Path
from typing import BinaryIO, NamedTuple

from primus_lens_exporter.backfill.files import Reader
from primus_lens_exporter.backfill.openmetrics import OpenMetrics, identify
from primus_lens_exporter.model.labels import Labels, of_pod
from primus_lens_exporter.model.quota import Quota
from primus_lens_exporter.model.record import Record, is_sample
from primus_lens_exporter.model.sample import Sample
from primus_lens_exporter.model.series_rules import SeriesRules
from primus_lens_exporter.samples import SampleBuilder

BATCH_RECORDS = 256
SERIES = 100_000  # of one rank, so that a file of ever new keys cannot fill the memory
RULES = SeriesRules(limits_keys_per_rank=SERIES)


class Summary(NamedTuple):
    """What became of the files: what was read, what was written, and the rest."""

    read: Reader
    written: OpenMetrics
    dropped: Counter[str]
    """Samples by the reason why they were left out."""
    span: list[int]
    """Milliseconds since the epoch of the oldest and the newest sample; empty without any."""


class Holding:
    """Holds the series of one rank, or of the system of a node, while it is read."""

    def __init__(self) -> None:
        self.quota = Quota(SERIES, "series_per_rank")

    def dropped(self, reason: str, values: int) -> None:
        """The builder counts."""


def backfill(
    ranks: dict[Labels, list[Path]],
    added: Labels,
    out: BinaryIO,
    advance: Callable[[int], object],
) -> Summary:
    """Write all ranks. `advance` is told of bytes that were read. Raises OSError for `out`."""
    reader, builder = Reader(advance), SampleBuilder(identify, RULES, added)
    span: list[int] = []
    with OpenMetrics(out) as text:
        # What several ranks of a node say of it is one series, which cannot be written twice.
        for _, of_node in groupby(sorted(ranks, key=of_pod), of_pod):
            node = Holding()
            for labels in of_node:
                rank = Holding()
                for logged, sampled in _batches(reader.merged(ranks[labels])):
                    samples = builder.take(labels, logged, rank)
                    of_system = builder.take(labels, sampled, node)
                    text.add(samples)
                    text.add_system(of_system)
                    span = _span(span, samples, of_system)
                text.end_rank()
                builder.release(rank)
            text.end_node()
            builder.release(node)
        text.end()
        return Summary(reader, text, builder.dropped, span)


def _batches(records: Iterator[Record]) -> Iterator[tuple[list[Record], list[Record]]]:
    """Log calls, and samples of the system."""
    while batch := list(islice(records, BATCH_RECORDS)):
        sampled = [record for record in batch if is_sample(record)]
        yield [record for record in batch if not is_sample(record)] if sampled else batch, sampled


def _span(span: list[int], *samples: list[Sample]) -> list[int]:
    """The oldest and the newest; nothing where there is none."""
    known = [*span, *(at for each in samples for _, at, _ in each)]
    return [min(known), max(known)] if known else []
