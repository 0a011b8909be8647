# SPDX-License-Identifier: Apache-2.0
"""What a life has left behind: its status, output, notes, files, records, and rows in W&B."""

import json
import os
import re
import stat
from typing import NamedTuple

from support import wandb_file
from support.differential.outcome import normal

OURS = re.compile(r"wandb_metrics(\.p\d+)?(\.\d+)?\.jsonl$")
KNOWN = re.compile(r"(wandb_runs(\.p\d+)?\.json|wandb_hook\.json)$")
HALF = re.compile(r"(wandb_runs(\.p\d+)?|wandb_hook)\.json\.\d+$")  # of a killed process or thread
NOT_COMPARED = ("notes", "stdout", "stderr", "image", "hog", "life.py")
MARK = "primus-lens:"


class Note(NamedTuple):
    who: str
    pid: int
    kind: str
    what: str
    number: int | None
    loose: bool
    exempt: bool


class Outcome:
    """One life that has ended, natively or hooked. `read` looks at its files, once."""

    def __init__(self, life, status, directory, notes, *, hooked):
        self.life, self.status, self.hooked = life, status, hooked
        self._directory = directory
        self.notes = [Note(*json.loads(line)) for line in notes.splitlines()]
        self.files, self.records, self.kept = {}, {}, set()

    def read(self):
        self.stdout, self.stderr = (self._printed(name) for name in ("stdout", "stderr"))
        lines = self.stderr.splitlines(keepends=True)
        self.complaints = [line for line in lines if line.startswith(MARK)]
        self.stderr = "".join(line for line in lines if not line.startswith(MARK)).rstrip()
        for root, directories, names in os.walk(self._directory):
            directories[:] = [each for each in directories if each not in ("tmp", "below")]
            if root == str(self._directory / "work"):
                directories[:] = [each for each in directories if each != "wandb"]
            for name in names:
                self._take(os.path.join(root, name), name)
        if self.life.mode == "offline":
            for run in wandb_file.read(self._directory / "work" / "wandb", timeout=0):
                self.kept |= {row["n"] for row in wandb_file.rows(run) if "n" in row}

    def _printed(self, name):
        text = (self._directory / name).read_text(errors="replace")
        return stable(normal(text, self._directory))

    def _take(self, path, name):
        status = os.lstat(path)
        if not stat.S_ISREG(status.st_mode) or name in NOT_COMPARED:
            return
        shown = os.path.relpath(path, self._directory)
        with open(path, "rb") as file:
            content = file.read()
        if OURS.match(name) and "node_0" in shown:
            self.records[shown] = content
        elif not KNOWN.match(name):
            if not (self.life.cuts_writes_short and HALF.match(name)):
                self.files[shown] = content
        elif b'"failed"' in content and not self.complaints:  # stderr may be closed
            reason = json.loads(content)["reason"]
            self.complaints.append(f"{MARK} switched off after an internal error ({reason})")

    def __str__(self):
        who = "hooked" if self.hooked else "native"
        notes = "\n".join(str(tuple(note)) for note in self.notes)
        records = "\n".join(f"{name}: {text[-900:]!r}" for name, text in self.records.items())
        parts = [notes, f"stdout {self.stdout[-900:]}", f"stderr {self.stderr[-2000:]}"]
        parts += [*self.complaints, records, f"files {sorted(self.files)}, W&B {sorted(self.kept)}"]
        return "\n".join([f"{who}: ends with {self.status}", *parts])

    @property
    def lines(self):
        """Every line of every file of records, without its end."""
        return [line for text in self.records.values() for line in text.split(b"\n")[:-1]]


def stable(text):
    """Without what differs where other frames are on the stack, or from life to life."""
    text = re.sub(
        r"^ *[~^]+\n?", "", text, flags=re.MULTILINE
    )  # a traceback's marks of parts of lines
    text = re.sub(r"PID=\d+", "PID=…", text)
    return re.sub(r"(Fatal Python error: [^\n]*).*", r"\1", text, flags=re.DOTALL).rstrip()
