# SPDX-License-Identifier: Apache-2.0
"""What a process has left behind: notes, rows, summaries, records, files, output."""

import json
import re
from collections import defaultdict
from pathlib import Path

from support import wandb_file

AXIS = "primus_lens/step"


class Rows:
    """The rows of one run in W&B."""

    def __init__(self, rows):
        self.rows = [flat(row) for row in rows]
        self._having = defaultdict(list)  # key, or the key of a dict in the row -> rows
        for row in self.rows:
            for known in {part for key in row for part in parents(key)}:
                self._having[known].append(row)

    def having(self, key, value):
        """The rows with this value; with any value of the key where it is None."""
        rows = self._having.get(key, ())
        return [row for row in rows if value is None or row.get(key) == value]


class Outcome:
    """One process that has run, natively or hooked."""

    def __init__(self, training, *, is_hooked, online=None):
        self.training = training
        self.is_hooked = is_hooked
        self.status = training.status
        self.notes = read_lines(training.directory / "notes.jsonl")
        records = defaultdict(list)
        for each in training.wandb:
            records[run_id(each)] += each
        self.rows = {name: Rows(wandb_file.rows(each)) for name, each in records.items()}
        if online is not None:  # what the server has is more than what was sent
            self.rows = {name: Rows(run.rows) for name, run in online.items()}
        self.summaries = {name: flat(wandb_file.summary(r)) for name, r in records.items()}
        self.configs = {name: config(each) for name, each in records.items()}
        self.files = files(training.directory / "wandb")
        self.lines = defaultdict(list)  # the records by run, their data flat as W&B's rows are
        self.unreadable = []  # lines of the records that are not JSON
        for path in sorted(training.output.glob("node_*/rank_*/wandb_metrics*.jsonl")):
            for line in path.read_text().splitlines():
                self._take(line)

    def _take(self, line):
        try:
            record = json.loads(line)
        except ValueError:
            self.unreadable.append(line)
        else:
            self.lines[record["run"]].append({**record, "data": flat(record["data"])})

    def notes_of(self, name):
        return [note for note in self.notes if note["run"] == name]

    @property
    def runs(self):
        return list(dict.fromkeys(note["run"] for note in self.notes))

    @property
    def stderr(self):
        """What was printed there, without what differs between any two processes."""
        return normal(self.training.stderr, self.training.directory)

    @property
    def stdout(self):
        return normal(self.training.stdout, self.training.directory)


def flat(row, prefix=""):
    """A row with nested dicts under dotted keys, without wandb's columns and our mark."""
    columns = {}
    for key, value in row.items():
        if isinstance(value, dict) and value:
            columns.update(flat(value, f"{prefix}{key}."))
        elif not (prefix + key).startswith("_"):
            columns[prefix + key] = without_addresses(value) if isinstance(value, str) else value
    return columns


def parents(key):
    """The key, and what it is below: `a.b.c`, `a.b`, `a`."""
    parts = key.split(".")
    return [".".join(parts[:length]) for length in range(1, len(parts) + 1)]


def read_lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def run_id(records):
    return next((r.run.run_id for r in records if r.HasField("run")), "")


def config(records):
    """The config in the end, without wandb's part."""
    known = {}
    for record in records:
        for changes in (record.run.config, record.config):
            for item in changes.update:
                known[item.key or ".".join(item.nested_key)] = json.loads(item.value_json)
            for item in changes.remove:
                known.pop(item.key or ".".join(item.nested_key), None)
    return {key: value for key, value in known.items() if not key.startswith("_wandb")}


def files(directory):
    """Names of the runs' files, without what differs between any two processes."""
    found = (p.relative_to(directory) for p in Path(directory).rglob("*") if p.is_file())
    return sorted(re.sub(r"run-\d{8}_\d{6}|[0-9a-f]{20,}", "…", str(path)) for path in found)


def normal(text, directory):
    text = text.replace(str(directory), "DIRECTORY")
    # A traceback goes through our frames too: with each, the line of its code.
    text = re.sub(r' *File "[^"]*primus_lens[^"]*", line .*\n.*\n', "", text)
    lines = text.splitlines()
    late = re.compile("Tried to log to step|[Ss]teps must be monotonically")
    lines = [line for line in lines if not late.search(line)]
    return re.sub(r"0x[0-9a-f]+|id='\d+'|pid=\d+|\d{8}_\d{6}", "…", "\n".join(lines))


def without_addresses(text):
    """An error's text without what differs between any two processes."""
    return text and re.sub(r"0x[0-9a-f]+|id='\d+'", "…", text)


def same(one, other):
    """Whether two JSON values are equal; NaN equals itself."""
    return one == other or json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)
