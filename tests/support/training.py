# SPDX-License-Identifier: Apache-2.0
"""Runs training scripts in processes of their own, and reads what they left behind."""

import contextlib
import functools
import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

from support import wandb_file
from support.environment import clean_environ

OFFLINE = {"WANDB_MODE": "offline", "WANDB_SILENT": "true"}
QUICK = {  # without what the hook has no part in: a run of an old wandb ends in half the time
    "WANDB_X_DISABLE_STATS": "true",
    "WANDB_X_DISABLE_META": "true",
    "WANDB_X_SAVE_REQUIREMENTS": "false",
    "WANDB__DISABLE_STATS": "true",
    "WANDB__DISABLE_META": "true",
    "WANDB_CONSOLE": "off",
}


class Training:
    """A script that has run: its exit, its output, its records, its rows in W&B."""

    def __init__(self, status, stdout, stderr, directory):
        self.status = status
        self.stdout = stdout
        self.stderr = stderr
        self.directory = directory
        self.output = directory / "records"

    @property
    def lines(self):
        """Every record of every rank, as decoded JSON, by file in the order of names."""
        files = sorted(self.output.glob("node_*/rank_*/wandb_metrics*.jsonl"))
        return [json.loads(line) for f in files for line in f.read_text().splitlines()]

    @property
    def data(self):
        """The data of every record, without our mark."""
        marks = {"_primus_lens_enabled"}
        return [{k: v for k, v in line["data"].items() if k not in marks} for line in self.lines]

    @property
    def runs(self):
        """The one `wandb_runs.json`."""
        (path,) = self.output.glob("node_*/rank_*/wandb_runs.json")
        return json.loads(path.read_text())

    @property
    def outcome(self):
        """The one outcome record."""
        (path,) = self.output.glob("node_*/rank_*/wandb_hook.json")
        return json.loads(path.read_text())

    @functools.cached_property
    def wandb(self):
        """The records of each run in W&B's own files."""
        killed = self.status == -signal.SIGKILL  # then nobody writes an exit record
        return wandb_file.read(self.directory / "wandb", timeout=0 if killed else 20)

    @property
    def rows(self):
        """What W&B has, of all runs."""
        return [row for records in self.wandb for row in wandb_file.rows(records)]

    @property
    def values(self):
        """Every value that W&B has, wandb's and our own columns left out."""
        ours = {"_step", "primus_lens/step"}
        return [value for row in self.rows for key, value in row.items() if key not in ours]

    @property
    def complaints(self):
        """Our lines on stderr."""
        return [line for line in self.stderr.splitlines() if line.startswith("primus-lens")]


def run(
    directory, code, *arguments, python=sys.executable, env=None, flags=(), timeout=120, linger=0
):
    """Run `code` as a script in `directory`; its records go to `directory/records`.

    `linger` is for how many seconds wandb's own processes may go on after a kill.
    """
    directory = Path(directory)
    directory.mkdir(exist_ok=True)
    script = directory / "train.py"
    script.write_text(textwrap.dedent(code))
    environ = {
        **clean_environ(),
        **OFFLINE,
        "PRIMUS_LENS_WANDB_OUTPUT_PATH": str(directory / "records"),
        **(env or {}),
    }
    environ = {name: value for name, value in environ.items() if value is not None}
    printed = directory / "stdout", directory / "stderr"
    with printed[0].open("w") as stdout, printed[1].open("w") as stderr:
        process = subprocess.Popen(
            [python, *flags, script, *map(str, arguments)],
            cwd=directory,
            env=environ,
            stdout=stdout,
            stderr=stderr,
            start_new_session=True,
        )
        try:
            status = process.wait(timeout)
            time.sleep(linger)
        finally:
            # A killed training leaves wandb's service processes behind.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    return Training(status, *(path.read_text() for path in printed), directory)
