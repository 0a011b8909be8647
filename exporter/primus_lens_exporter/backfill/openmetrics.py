# SPDX-License-Identifier: Apache-2.0
"""Samples as OpenMetrics text, one family after the other and one series after the other.

The format wants it so, while samples come in the order of time. What does not fit into a
small buffer waits in a temporary file.
"""

from __future__ import annotations

import functools
import math
import shutil
import tempfile
from array import array
from collections import defaultdict
from collections.abc import Iterator
from typing import BinaryIO, Self

from primus_lens_exporter.metadata import FAMILIES
from primus_lens_exporter.model.labels import Labels, label_text
from primus_lens_exporter.model.sample import Sample
from primus_lens_exporter.samples import METRIC

BUFFER_SAMPLES = 50_000  # in memory, 5 MB


def identify(name: str, labels: Labels) -> bytes:
    """A series as it begins each of its lines."""
    return f"{name}{{{label_text(labels)}}} ".encode()


class OpenMetrics:
    """Writes to `out`. Raises OSError where the disk does. Use within `with`."""

    def __init__(self, out: BinaryIO) -> None:
        self.samples = 0
        self.series = 0
        self._out = out
        self._rank = Grouped()
        self._node = Grouped()
        self._waiting: dict[str, BinaryIO] = {}
        """The families but the first, which is written as it comes."""
        self._started = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._rank.close()
        self._node.close()
        for file in self._waiting.values():
            file.close()

    def add(self, samples: list[Sample]) -> None:
        """More samples of the rank at hand, each later than its series' last one."""
        self.samples += len(samples)
        self._rank.add(samples)

    def add_system(self, samples: list[Sample]) -> None:
        """Likewise of the system, of which each rank of the node at hand may have some."""
        self.samples += len(samples)
        self._node.add(samples)

    def end_rank(self) -> None:
        """No more of its series will come."""
        self._end(self._rank)

    def end_node(self) -> None:
        """No more of the node's series will come."""
        self._end(self._node)

    def end(self) -> None:
        """Write what closes the text."""
        for name in FAMILIES:
            if file := self._waiting.get(name):
                self._out.write(_head(name))
                file.seek(0)
                shutil.copyfileobj(file, self._out)
        self._out.write(b"# EOF\n")

    def _end(self, group: Grouped) -> None:
        for series in group.series():
            self.series += 1
            target = self._target(series.partition(b"{")[0].decode())
            for lines in group.lines(series):
                target.write(series + lines[:-1].replace(b"\n", b"\n" + series) + b"\n")
        group.clear()

    def _target(self, family: str) -> BinaryIO:
        if family == METRIC:
            if not self._started:
                self._started = True
                self._out.write(_head(METRIC))
            return self._out
        if family not in self._waiting:
            self._waiting[family] = tempfile.TemporaryFile()  # noqa: SIM115 - by `__exit__`
        return self._waiting[family]


class Grouped:
    """Lines by series, without the series itself: value, space, time."""

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 - closed by `close`
        self._places: defaultdict[bytes, array[int]] = defaultdict(lambda: array("Q"))
        """Offset and length of each part in the file."""
        self._buffer: defaultdict[bytes, list[bytes]] = defaultdict(list)
        self._buffered = 0

    def add(self, samples: list[Sample]) -> None:
        for series, at, value in samples:
            self._buffer[series.id].append(b"%b %b\n" % (_number(value), _seconds(at)))
        self._buffered += len(samples)
        if self._buffered >= BUFFER_SAMPLES:
            self._spill()

    def series(self) -> list[bytes]:
        return list(self._places | self._buffer)

    def lines(self, series: bytes) -> Iterator[bytes]:
        """In parts of whole lines."""
        places = self._places.get(series, ())
        for offset, length in zip(places[::2], places[1::2], strict=True):
            self._file.seek(offset)
            yield self._file.read(length)
        if rest := self._buffer.get(series):
            yield b"".join(rest)

    def clear(self) -> None:
        self._places.clear()
        self._buffer.clear()
        self._buffered = 0
        self._file.seek(0)
        self._file.truncate()

    def close(self) -> None:
        self._file.close()

    def _spill(self) -> None:
        for series, lines in self._buffer.items():
            part = b"".join(lines)
            self._places[series].extend((self._file.tell(), len(part)))
            self._file.write(part)
        self._buffer.clear()
        self._buffered = 0


def _head(name: str) -> bytes:
    """OpenMetrics names a counter without the `_total` of its series."""
    kind, text = FAMILIES[name]
    family = name.removesuffix("_total") if kind == "counter" else name
    return f"# HELP {family} {text}\n# TYPE {family} {kind}\n".encode()


def _number(value: float) -> bytes:
    if math.isfinite(value):
        return repr(value).encode()
    return b"NaN" if math.isnan(value) else b"+Inf" if value > 0 else b"-Inf"


@functools.lru_cache(64)
def _seconds(at: int) -> bytes:
    """Milliseconds as seconds, so that Prometheus, which cuts where it should round, agrees."""
    seconds = at / 1000
    if int(seconds * 1000) != at:
        seconds = math.nextafter(seconds, math.inf)
    return repr(seconds).encode()
