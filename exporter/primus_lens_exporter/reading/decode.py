# SPDX-License-Identifier: Apache-2.0
"""From the bytes of whole lines to records. Pure: no files, no clock.

A chunk of good lines is decoded in one call. If anything in it is bad, its lines are
taken one by one, each bad one is counted by its reason, and none stops the others.
"""

from __future__ import annotations

import json
from collections import Counter
from typing import NamedTuple

import msgspec

from primus_lens_exporter.model.errors import ExporterError
from primus_lens_exporter.model.record import Record

RECORD_START = b'{"timestamp"'

# What became of a line; the values of the `result` label.
OK = "ok"
REPAIRED = "repaired"  # a bare NaN or NULs in front: read all the same
TORN = "torn"  # cut off mid-line; what follows on the same line is read
INVALID_JSON = "invalid_json"
INVALID_UTF8 = "invalid_utf8"
WRONG_TYPE = "wrong_type"
TOO_DEEP = "too_deep"
TOO_LONG = "too_long"
RESULTS = (OK, REPAIRED, TORN, INVALID_JSON, INVALID_UTF8, WRONG_TYPE, TOO_DEEP, TOO_LONG)


class Batch(NamedTuple):
    """The records of a chunk, in order, and how many lines had which result."""

    records: list[Record]
    results: dict[str, int]
    size: int
    """Bytes of the chunk."""


class BadLine(ExporterError):
    """A line that holds no record; `args[0]` is its result."""


_decoder = msgspec.json.Decoder(Record)


def decode(chunk: bytes) -> Batch:
    """Decode newline-separated lines; blank lines count as nothing. Never raises."""
    try:
        records = _decoder.decode_lines(chunk)
    except Exception:
        return _decode_each(chunk)
    return Batch(records, {OK: len(records)}, len(chunk))


def _decode_each(chunk: bytes) -> Batch:
    batch = Batch([], Counter(), len(chunk))
    for line in chunk.split(b"\n"):
        if not line or line.isspace():
            continue
        try:
            record, result = _decode_line(line)
            batch.records.append(record)
        except BadLine as bad:
            result = bad.args[0]
        batch.results[result] += 1
        if result is TORN:
            batch.results[OK] += 1  # the record that stood behind the torn one
    return batch


def _decode_line(line: bytes) -> tuple[Record, str]:
    try:
        return _strictly(line), OK
    except BadLine:
        # A writer that was killed mid-line leaves its beginning glued to the next record.
        start = line.rfind(RECORD_START)
        if start > 0:
            stripped = not line[:start].strip(b"\0")
            return _strictly(line[start:]), REPAIRED if stripped else TORN
        if b"NaN" in line or b"Infinity" in line:
            return _leniently(line), REPAIRED
        raise


def _strictly(line: bytes) -> Record:
    try:
        return _decoder.decode(line)
    except msgspec.ValidationError:
        raise BadLine(WRONG_TYPE) from None
    except msgspec.DecodeError:
        raise BadLine(INVALID_JSON) from None
    except UnicodeDecodeError:  # msgspec lets it and RecursionError through
        raise BadLine(INVALID_UTF8) from None
    except RecursionError:
        raise BadLine(TOO_DEEP) from None


def _leniently(line: bytes) -> Record:
    """Python's own json reads the bare NaN that older writers left."""
    try:
        record = msgspec.convert(json.loads(line), Record)
        msgspec.json.encode(record)  # refuses lone surrogates, as the strict decoder does
        return record
    except (ValueError, RecursionError, msgspec.ValidationError):
        raise BadLine(INVALID_JSON) from None
