# SPDX-License-Identifier: Apache-2.0
"""What TensorBoard's event files hold, and what W&B and our records have of it."""

import struct

from tensorboard.backend.event_processing.event_file_loader import LegacyEventFileLoader


def values(directory):
    """Each scalar of the event files below a directory: (tag, step, value)."""
    files = sorted(directory.rglob("events.out.tfevents.*"))
    events = [event for path in files for event in LegacyEventFileLoader(str(path)).Load()]
    scalars = [(v.tag, e.step, v) for e in events for v in e.summary.value]
    return sorted((t, s, v.simple_value) for t, s, v in scalars if v.HasField("simple_value"))


def recorded(done):
    """Each number of the records, as (key, step, value)."""
    rows = [(line["step"], line["data"]) for line in done.lines]
    return sorted((k, s, float32(v)) for s, row in rows for k, v in row.items() if is_number(v))


def synced(done):
    """Each number that W&B has with a step of TensorBoard's, as (key, step, value)."""
    found = []
    for row in done.rows:
        steps = {key[:-11]: row.pop(key) for key in list(row) if key.endswith("global_step")}
        for key, value in row.items():
            # "train/global_step" is the step of "train/loss", where there is one
            within = [prefix for prefix in steps if key.startswith(prefix)]
            if within and is_number(value) and key != "_step":
                found.append((key, steps[max(within, key=len)], float32(value)))
    return sorted(found)


def is_number(value):
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def float32(value):
    """The value as TensorBoard keeps it: wandb-core shows the shortest digits of it."""
    return struct.unpack("f", struct.pack("f", value))[0]
