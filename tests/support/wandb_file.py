# SPDX-License-Identifier: Apache-2.0
"""Reads the rows back out of a `.wandb` file, as `wandb sync` would send them.

The file is a LevelDB log (32 KiB blocks of framed records) behind a 7-byte header; each
record is a protobuf message, for which the newest wandb brings the class.
"""

import json
import struct
import time
from pathlib import Path

from wandb.proto.wandb_internal_pb2 import Record

BLOCK = 32 * 1024
HEADER = 7
FULL, FIRST, MIDDLE, LAST = 1, 2, 3, 4


def read(directory, timeout=20):
    """The records of each run below a directory.

    Waits for the exit record: the newest wandb writes the file in a process of its own.
    """
    deadline = time.monotonic() + timeout
    while True:
        runs = [list(_records(path.read_bytes())) for path in Path(directory).rglob("*.wandb")]
        if runs and all(any(r.HasField("exit") for r in records) for records in runs):
            return runs
        if time.monotonic() > deadline:
            return runs
        time.sleep(0.1)


def rows(records):
    """The rows of a run: dicts by key, W&B's own keys left out."""
    return [_row(record.history) for record in records if record.HasField("history")]


def summary(records):
    """What a run's summary shows in the end."""
    shown = {}
    for record in records:
        for item in record.summary.update if record.HasField("summary") else ():
            shown[item.key or ".".join(item.nested_key)] = json.loads(item.value_json)
    return shown


def axes(records):
    """The step metric of each metric or pattern that was defined with one."""
    metrics = (record.metric for record in records if record.metric.step_metric)
    return {metric.name or metric.glob_name: metric.step_metric for metric in metrics}


def synced(records):
    """The metrics and patterns whose step metric wandb fills in where a row lacks it."""
    metrics = (record.metric for record in records if record.metric.options.step_sync)
    return {metric.name or metric.glob_name for metric in metrics}


def _row(history):
    items = ((".".join(i.nested_key) or i.key, json.loads(i.value_json)) for i in history.item)
    return {key: value for key, value in items if key == "_step" or not key.startswith("_")}


def _records(data):
    for message in _messages(data):
        record = Record()
        record.ParseFromString(message)
        yield record


def _messages(data):
    offset, parts = HEADER, []
    while offset + HEADER <= len(data):
        left = BLOCK - offset % BLOCK
        if left < HEADER:  # too short for a frame: padding
            offset += left
            continue
        _, length, kind = struct.unpack_from("<IHB", data, offset)
        part = data[offset + HEADER : offset + HEADER + length]
        if len(part) < length or not kind:
            return
        offset += HEADER + length
        parts = [part] if kind in (FULL, FIRST) else [*parts, part]
        if kind in (FULL, LAST):
            yield b"".join(parts)
