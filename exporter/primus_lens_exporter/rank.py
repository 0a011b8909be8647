# SPDX-License-Identifier: Apache-2.0
"""The files of one rank, followed in the order in which they were written.

A rank's writer rotates its file by renaming it, a second process adds one of its own, and
anybody with the pod's rights may put anything in their place. Files are told apart by
device and inode, so a rename changes nothing; what cannot be read is counted once.
"""

from __future__ import annotations

import dataclasses
import enum
import math
import os
import re
from collections.abc import Iterator, Mapping

from primus_lens_hook import contract

from primus_lens_exporter import decode, runinfo
from primus_lens_exporter.listing import Listing
from primus_lens_exporter.refusals import Refusals
from primus_lens_exporter.runinfo import RunInfo
from primus_lens_exporter.sources import RankDirectory
from primus_lens_exporter.store import Store
from primus_lens_exporter.tail import GROWN, FileId, Tail
from primus_lens_exporter.telemetry import Telemetry

METRICS_FILE = re.compile(
    re.escape(contract.METRICS_STEM)
    + r"(\.p\d+)?(\.(?P<number>\d{1,9}))?"
    + re.escape(contract.METRICS_SUFFIX)
)
RUNS_FILE = re.compile(
    re.escape(contract.RUNS_STEM) + r"(\.p\d+)?" + re.escape(contract.RUNS_SUFFIX)
)
QUIET_POLLS = 40  # ten seconds
PASS_BYTES = 4 << 20  # one rank's share of a pass, so that none waits for another's backlog


class State(enum.Enum):
    """What can still happen to a followed file."""

    LIVE = "live"
    ROTATED = "rotated"  # nobody writes it any more
    DELETED = "deleted"  # nor does it have a name; closed once read to its end


@dataclasses.dataclass(slots=True)
class Followed:
    """A tail and what is known of its file."""

    tail: Tail
    state: State = State.LIVE
    finished: bool = False


class RankFiles:
    """Follows one rank directory. `scan` looks for files, `read` reads what is new."""

    def __init__(
        self,
        rank: RankDirectory,
        store: Store,
        telemetry: Telemetry,
        refusals: Refusals,
        line_bytes: int,
    ) -> None:
        self._listing = Listing(rank.path)
        self._labels = rank.labels
        self._store = store
        self._telemetry = telemetry
        self._refusals = refusals
        self._line_bytes = line_bytes
        self._files: dict[FileId, Followed] = {}  # in the order of reading
        self._undescribed: Mapping[str, RunInfo] = {}
        self._quiet_polls = 0

    def __len__(self) -> int:
        return len(self._files)

    @property
    def quiet(self) -> bool:
        """Whether there has long been nothing to read; then `scan` is enough to notice more."""
        return self._quiet_polls >= QUIET_POLLS

    def scan(self) -> None:
        """Notice new, rotated, rewritten and deleted files, and new runs."""
        try:
            self._notice_rewrites()
            self._list_if_changed()
        except OSError as error:
            self._refusals.note(self._listing.path, error)
        if self._undescribed:
            self._describe()

    def _describe(self) -> None:
        self._undescribed = {
            run_id: info
            for run_id, info in self._undescribed.items()
            if not self._store.describe(self._labels, run_id, info, self)
        }

    def read(self) -> Iterator[None]:
        """Read what is new, pausing (by yield) after each chunk."""
        self._quiet_polls += 1
        left = PASS_BYTES
        for file_id, file in list(self._files.items()):
            if file.finished:
                continue
            while (chunk := self._next(file)) is not None:
                self._quiet_polls = 0
                self._take(chunk, file.tail)
                left -= len(chunk)
                yield
                if left <= 0:
                    return
            self._at_end(file_id, file)

    def gone(self) -> None:
        """The directory is no longer there: what is open is read to its end and closed."""
        self._quiet_polls = 0
        for file in self._files.values():
            file.state, file.finished = State.DELETED, False

    def close(self) -> None:
        """Close every file and end the series."""
        for file in self._files.values():
            file.tail.close()
        self._files.clear()
        self._store.release(self)
        self._refusals.forget(self._listing.path)

    def _notice_rewrites(self) -> None:
        for file in self._files.values():
            event = file.tail.look()
            if event is None:
                continue
            self._quiet_polls = 0
            file.finished = False
            if event != GROWN:
                self._telemetry.file_events.labels(event).inc()

    def _list_if_changed(self) -> None:
        entries = self._listing.changed()
        if entries is None:
            return
        self._follow([entry for entry in entries if METRICS_FILE.fullmatch(entry.name)])
        runs = [entry.path for entry in entries if RUNS_FILE.fullmatch(entry.name)]
        self._undescribed = runinfo.read(runs)

    def _follow(self, entries: list[os.DirEntry[str]]) -> None:
        self._quiet_polls = 0
        listed: dict[FileId, Followed] = {}
        for status, entry in sorted(_stat(entries), key=_age):
            file_id = (status.st_dev, status.st_ino)
            if file_id in listed:  # a hard link: the same lines under another name
                continue
            file = self._files.pop(file_id, None) or self._open(entry)
            if file is not None:
                rotated = _number(entry) is not None
                file.state = State.ROTATED if rotated else State.LIVE
                file.finished = file.finished and rotated
                listed[file.tail.id] = file
        for file in self._files.values():
            file.state, file.finished = State.DELETED, False
        self._files = {**self._files, **listed}  # the deleted first: they are older

    def _open(self, entry: os.DirEntry[str]) -> Followed | None:
        try:
            tail = Tail(entry.path, self._line_bytes)
        except OSError as error:
            self._refusals.note(entry.path, error)
            return None
        self._refusals.lift(entry.path)
        self._telemetry.file_events.labels("opened").inc()
        return Followed(tail)

    def _next(self, file: Followed) -> bytes | None:
        try:
            chunk = file.tail.read()
            if chunk is None and file.state is State.DELETED:
                return file.tail.rest() or None
            return chunk
        except OSError as error:
            self._refusals.note(f"{self._listing.path}/(inode {file.tail.id[1]})", error)
            return None

    def _take(self, chunk: bytes, tail: Tail) -> None:
        telemetry = self._telemetry
        if tail.too_long:
            telemetry.lines.labels(decode.TOO_LONG).inc(tail.too_long)
            tail.too_long = 0
        telemetry.bytes.inc(len(chunk))
        batch = decode.decode(chunk)
        for result, count in batch.results.items():
            telemetry.lines.labels(result).inc(count)
        if batch.records:
            self._store.apply(self._labels, batch.records, self)

    def _at_end(self, file_id: FileId, file: Followed) -> None:
        if file.state is State.DELETED:
            del self._files[file_id]
            file.tail.close()
            self._telemetry.file_events.labels("closed").inc()
        elif file.state is State.ROTATED:
            file.finished = True


def _stat(
    entries: list[os.DirEntry[str]],
) -> Iterator[tuple[os.stat_result, os.DirEntry[str]]]:
    for entry in entries:
        try:
            yield entry.stat(follow_symlinks=False), entry
        except OSError:  # deleted since it was listed
            continue


def _age(found: tuple[os.stat_result, os.DirEntry[str]]) -> tuple[int, float]:
    """Oldest first; of files as old as each other, rotated ones before the current one."""
    status, entry = found
    number = _number(entry)
    return status.st_mtime_ns, math.inf if number is None else number


def _number(entry: os.DirEntry[str]) -> int | None:
    """The number of a rotated segment; None for a file that is being written."""
    match = METRICS_FILE.fullmatch(entry.name)
    return int(match["number"]) if match and match["number"] else None
