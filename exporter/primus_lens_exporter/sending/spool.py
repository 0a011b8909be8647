# SPDX-License-Identifier: Apache-2.0
"""Requests that wait to be sent, on disk, with the positions they were read up to.

One SQLite database: a request, the positions in the files behind it and the times of its
series are committed in one transaction, so that a process that is killed at any moment
neither loses a record nor makes another request of it. Positions outlive the requests. It is opened
exclusively: a second exporter on the same directory is refused.
"""

from __future__ import annotations

import contextlib
import itertools
import logging
import math
import os
import sqlite3
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from primus_lens_exporter.model.errors import ExporterError
from primus_lens_exporter.model.sample import Clock
from primus_lens_exporter.sending.counter_starts import CounterStart

VERSION = 1
# An exclusive WAL needs no shared memory; FULL: a committed request survives a power cut.
OPEN = """
pragma locking_mode = exclusive;
pragma journal_mode = wal;
pragma synchronous = full;
pragma journal_size_limit = 16777216;
"""
# Spools of earlier releases get what was added since.
ADD = """
create table if not exists counter (id integer primary key, start integer, value real);
"""
SCHEMA = f"""
begin immediate;
create table entry (
    id integer primary key autoincrement, body blob, samples integer, newest integer
);
create table position (file blob primary key, offset integer) without rowid;
create table series (id integer primary key, name blob);
create table clock (id integer primary key, last integer, newest integer);
pragma user_version = {VERSION};
commit;
"""

log = logging.getLogger(__name__)


class SpoolError(ExporterError, ValueError):
    """The directory cannot be used; the text says why and what to do."""


class Entry(NamedTuple):
    """One request."""

    id: int
    """0 while it has none."""
    body: bytes
    samples: int
    newest: int
    """Time of its newest sample, in milliseconds."""


class Commit(NamedTuple):
    """What happens in one transaction. An offset, a clock or a start of None is forgotten."""

    entries: Sequence[Entry]
    positions: Mapping[str, int | None]
    clocks: Mapping[bytes, Clock | None]
    starts: Mapping[bytes, CounterStart | None] = {}


class Spool:
    """Raises sqlite3.Error where the disk does; every call can then be repeated."""

    def __init__(self, directory: Path, name: str) -> None:
        """Open or create the database `name`.sqlite. Raises SpoolError."""
        self.set_aside = 0
        """Whether what was found had to be replaced: 1 then."""
        self._path = directory / f"{name}.sqlite"
        try:
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._db = self._open()
        except (OSError, sqlite3.Error) as error:
            raise SpoolError(_explain(directory, error)) from error
        found = self._db.execute("select count(*), total(length(body)) from entry").fetchone()
        self._ids = dict(self._db.execute("select name, id from series"))
        self.entries = int(found[0])
        self.bytes = int(found[1])

    def positions(self) -> dict[str, int]:
        """How far each file was read, all requests in the spool included."""
        rows = self._db.execute("select file, offset from position")
        return {file.decode("utf-8", "surrogateescape"): offset for file, offset in rows}

    def clocks(self) -> dict[bytes, Clock]:
        """Where the times of each series stand, likewise."""
        rows = self._db.execute("select name, last, newest from series join clock using (id)")
        return {series: (last, newest) for series, last, newest in rows}

    def starts(self) -> dict[bytes, CounterStart]:
        """Since when each counter counts, likewise. SQLite keeps NaN as null."""
        rows = self._db.execute("select name, start, value from series join counter using (id)")
        return {
            series: CounterStart(at, math.nan if value is None else value)
            for series, at, value in rows
        }

    def commit(self, commit: Commit) -> None:
        """All of it or nothing."""
        positions = {_blob(file): offset for file, offset in commit.positions.items()}
        with self._transaction() as db:
            db.executemany(
                "insert into entry (body, samples, newest) values (?, ?, ?)",
                [entry[1:] for entry in commit.entries],
            )
            db.executemany(
                "replace into position values (?, ?)",
                [row for row in positions.items() if row[1] is not None],
            )
            db.executemany(
                "delete from position where file = ?",
                [(file,) for file, offset in positions.items() if offset is None],
            )
            ids = self._write_series(db, commit)
        self._ids = ids
        self.entries += len(commit.entries)
        self.bytes += sum(len(entry.body) for entry in commit.entries)

    def oldest(self) -> Entry | None:
        """The request to be sent next."""
        row = self._db.execute("select * from entry order by id limit 1").fetchone()
        return Entry(*row) if row else None

    def remove(self, entry: Entry) -> None:
        """It was acknowledged, or refused for good. Does nothing the second time."""
        with self._transaction() as db:
            removed = db.execute("delete from entry where id = ?", (entry.id,)).rowcount
        self.entries -= removed
        self.bytes -= removed * len(entry.body)

    def close(self) -> None:
        self._db.close()

    def _write_series(self, db: sqlite3.Connection, commit: Commit) -> dict[bytes, int]:
        """A clock is written each second, by number; the name of its series but once."""
        kept = {series: clock for series, clock in commit.clocks.items() if clock}
        starts = {series: start for series, start in commit.starts.items() if start}
        ids = _number(db, self._ids, itertools.chain(kept, starts))
        rows = ((ids[series], *clock) for series, clock in kept.items())
        db.executemany("replace into clock values (?, ?, ?)", rows)
        counters = ((ids[series], *start) for series, start in starts.items())
        db.executemany("replace into counter values (?, ?, ?)", counters)
        return _forget(db, ids, commit.clocks.keys() - kept.keys())

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        self._db.execute("begin immediate")
        try:
            yield self._db
            self._db.execute("commit")
        except BaseException:
            if self._db.in_transaction:  # a full disk may have ended it already
                self._db.execute("rollback")
            raise

    def _open(self) -> sqlite3.Connection:
        try:
            return _connect(self._path)
        except sqlite3.OperationalError:
            raise  # locked, no permission, disk full: the content may be good
        except sqlite3.DatabaseError as error:
            aside = f"{self._path}.unreadable-{int(time.time())}"
            log.warning(
                "spool cannot be read and is set aside: every file is sent from its beginning",
                extra={"path": aside, "error": str(error)},
            )
            os.replace(self._path, aside)
            for suffix in ("-wal", "-shm"):
                with contextlib.suppress(FileNotFoundError):
                    os.replace(f"{self._path}{suffix}", aside + suffix)
            self.set_aside = 1
            return _connect(self._path)


def _connect(path: Path) -> sqlite3.Connection:
    """Raises sqlite3.OperationalError if it cannot be opened, another Error if it is damaged."""
    # Used in one thread at a time: see Outbox.
    db = sqlite3.connect(path, timeout=0, isolation_level=None, check_same_thread=False)
    try:
        db.executescript(OPEN)
        (version,) = db.execute("pragma user_version").fetchone()
        if version == 0:
            db.executescript(SCHEMA)
        elif version != VERSION:
            raise sqlite3.DatabaseError(f"written by another version ({version})")
        db.executescript(ADD)
        db.execute("begin exclusive")
        db.execute("commit")
        (answer,) = db.execute("pragma quick_check(1)").fetchone()
        if answer != "ok":
            raise sqlite3.DatabaseError(answer)
        return db
    except BaseException:
        db.close()
        raise


def _number(
    db: sqlite3.Connection, ids: dict[bytes, int], wanted: Iterable[bytes]
) -> dict[bytes, int]:
    """The numbers of series, and one for each that had none."""
    new = [series for series in wanted if series not in ids]
    if not new:
        return ids
    added = dict(zip(new, itertools.count(max(ids.values(), default=0) + 1)))
    db.executemany("insert into series (name, id) values (?, ?)", added.items())
    return ids | added


def _forget(
    db: sqlite3.Connection, ids: dict[bytes, int], unwanted: set[bytes]
) -> dict[bytes, int]:
    gone = unwanted & ids.keys()
    if not gone:
        return ids
    for table in "series", "clock", "counter":
        numbers = [(ids[series],) for series in gone]
        db.executemany(f"delete from {table} where id = ?", numbers)  # noqa: S608
    return {series: number for series, number in ids.items() if series not in gone}


def _blob(file: str) -> bytes:
    """File names need not be UTF-8."""
    return file.encode("utf-8", "surrogateescape")


def _explain(directory: Path, error: Exception) -> str:
    if "locked" in str(error):
        return f"{directory} is in use by another exporter; give each one a directory of its own"
    reason = error.strerror if isinstance(error, OSError) else error
    return f"{directory} cannot be used: {reason}; name a directory on a local disk"
