# SPDX-License-Identifier: Apache-2.0
"""The files of each rank below some directories, read once, in the order of time."""

from __future__ import annotations

import errno
import heapq
import math
import os
import re
import stat
from collections import Counter, defaultdict
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from primus_lens_exporter.model.labels import Labels
from primus_lens_exporter.model.record import Record
from primus_lens_exporter.reading.decode import Batch
from primus_lens_exporter.reading.file_handle import FileHandle
from primus_lens_exporter.reading.layout import METRICS_FILE, NODE, RANK
from primus_lens_exporter.reading.settings import ReadingSettings
from primus_lens_exporter.reading.tail import CHUNK, Tail
from primus_lens_exporter.samples import in_order

FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY
LINE_BYTES = ReadingSettings.limits_line_bytes  # the exporter's default


class Found(NamedTuple):
    """What there is below some directories."""

    files: dict[Labels, list[Path]]
    """By identity."""
    refused: dict[Path, str]
    """What is called like a node or a rank and is no directory itself, and why it is left out."""


def find(directories: Iterable[Path]) -> Found:
    """What is reached twice, or under two names, counts once.

    Raises OSError for a directory that cannot be listed.
    """
    found: defaultdict[Labels, list[Path]] = defaultdict(list)
    refused: dict[Path, str] = {}
    seen: set[tuple[int, int]] = set()
    for directory in directories:
        for node_path, node in _numbered(directory, NODE, refused):
            for rank_path, rank in _numbered(node_path, RANK, refused):
                labels = ("node_rank", node), ("local_rank", rank)
                for path in sorted(rank_path.iterdir()):
                    status = path.lstat()
                    place = status.st_dev, status.st_ino
                    if METRICS_FILE.fullmatch(path.name) and place not in seen:
                        seen.add(place)
                        found[labels].append(path)
    return Found(dict(found), refused)


def _numbered(
    directory: Path, pattern: re.Pattern[str], refused: dict[Path, str]
) -> Iterator[tuple[Path, str]]:
    for path in sorted(directory.iterdir()):
        if not (match := pattern.fullmatch(path.name)):
            continue
        if path.is_symlink():
            refused[path] = "a symbolic link; name the directory that it leads to"
        elif path.is_dir():
            yield path, str(int(match[1]))
        else:
            refused[path] = "not a directory"


class Reader:
    """Reads files and counts what was in them."""

    def __init__(self, advance: Callable[[int], object]) -> None:
        """`advance` is told how many more bytes have been read."""
        self.files = 0
        self.lines: Counter[str] = Counter()
        """By result, as in `decode`."""
        self.refused: dict[Path, str] = {}
        """Files that could not be read, and why."""
        self._advance = advance

    def merged(self, paths: Iterable[Path]) -> Iterator[Record]:
        """All records of one rank. A file is open only from its first record to its last."""
        waiting = sorted(((_first(path), path) for path in paths), reverse=True)
        heads: list[tuple[float, int, Record, Iterator[Record]]] = []
        opened = 0
        while heads or waiting:
            if waiting and (not heads or waiting[-1][0] <= heads[0][0]):
                opened += 1
                entry = _head(opened, self._records(waiting.pop()[1]))
                if entry:
                    heapq.heappush(heads, entry)
                continue
            _, number, record, rest = heads[0]
            yield record
            entry = _head(number, rest)
            if entry:
                heapq.heapreplace(heads, entry)
            else:
                heapq.heappop(heads)

    def _records(self, path: Path) -> Iterator[Record]:
        try:
            for batch in _batches(path):
                self.lines.update(batch.results)
                self._advance(batch.size)
                yield from in_order(batch.records)
            self.files += 1
        except OSError as error:
            self.refused[path] = error.strerror or str(error)


def _head(
    number: int, records: Iterator[Record]
) -> tuple[float, int, Record, Iterator[Record]] | None:
    record = next(records, None)
    return (_time(record), number, record, records) if record else None


def _time(record: Record) -> float:
    """To sort by; a time that is no number comes at once, and is dropped later."""
    return -math.inf if math.isnan(record.timestamp) else record.timestamp


def _first(path: Path) -> float:
    """The time of a file's first record; of one that cannot be read, now."""
    try:
        with closing(_batches(path)) as batches:
            times = (min(map(_time, batch.records)) for batch in batches if batch.records)
            return next(times, -math.inf)
    except OSError:  # counted when it is its turn
        return -math.inf


def _batches(path: Path) -> Generator[Batch, None, None]:
    """The lines of a file that nobody writes any more. Raises OSError."""
    fd = os.open(path, FLAGS)
    try:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise OSError(errno.EINVAL, "not a regular file")
        tail = Tail(FileHandle(fd), LINE_BYTES, careful_chunk=CHUNK)  # no scrape waits for this
        yield from tail.batches()
        yield tail.decoded(tail.rest())
    finally:
        os.close(fd)
