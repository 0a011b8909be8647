# SPDX-License-Identifier: Apache-2.0
"""The interpreters and wandb versions that the hook is tried on.

Each cell is a virtual environment below `.venv/matrix`, made when it is first asked for
and kept until its pins change. The pins are what the old versions need to import at all.
"""

import fcntl
import functools
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

from support.repository import ROOT

CELLS = ROOT / ".venv" / "matrix"
FETCH = ROOT.parent / "shared" / "pythons" / "get.sh"
FETCHED = ("3.14", "3.15")


class Cell(NamedTuple):
    python: str
    wandb: str | None  # "" is the newest, None is none
    pins: tuple = ()
    beside: str = ""  # what else is in it

    @property
    def name(self):
        wandb = None if self.wandb is None else f"wandb{self.wandb or '-newest'}"
        return "-".join(filter(None, [f"python{self.python}", wandb, self.beside]))


MATRIX = [
    Cell("3.7", "0.12.0", ("protobuf<3.21", "urllib3<2", "setuptools<70")),
    Cell("3.7", "0.12.21", ("protobuf<4", "urllib3<2", "setuptools<70")),
    Cell("3.8", "0.15.12", ("protobuf<5", "urllib3<2", "setuptools<70")),
    Cell("3.9", "0.17.9", ("setuptools<70",)),
    Cell("3.10", "0.19.11"),
    Cell("3.11", ""),
    Cell("3.12", "0.22.3"),
    Cell("3.13", ""),
    Cell("3.14", ""),
    Cell("3.15", ""),
]
FREE_THREADED = Cell("3.14t", "")  # a build without the GIL, from PATH
EVERYDAY = Cell("3.11", "")  # the one that `make test` trains with


@functools.cache
def interpreter(version):
    """An interpreter of this version that really starts, or None."""
    candidates = sorted(Path.home().glob(f".pyenv/versions/{version}.*/bin/python"))
    on_path = shutil.which(f"python{version}")
    for candidate in [*map(str, candidates), *filter(None, [on_path])]:
        started = subprocess.run([candidate, "-c", ""], capture_output=True)
        if started.returncode == 0:
            return candidate
    return fetched(version) if version in FETCHED and FETCH.exists() else None


def fetched(version):
    """A Python that the machine lacks, brought by what lies beside this checkout; or None."""
    done = subprocess.run([FETCH, version], stdout=subprocess.PIPE, text=True)
    return done.stdout.strip() if done.returncode == 0 else None


def is_made(cell):
    """Whether the cell's environment is there already."""
    complete = CELLS / cell.name / ".complete"
    return complete.exists() and complete.read_text() == "\n".join(cell.pins)


def environment(cell, wheel):
    """The cell's Python, with its wandb, numpy and the given wheel of ours installed."""
    directory = CELLS / cell.name
    python = directory / "bin" / "python"
    CELLS.mkdir(parents=True, exist_ok=True)
    with (CELLS / f"{cell.name}.lock").open("w") as lock:  # two test workers, one cell
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not is_made(cell):
            shutil.rmtree(directory, ignore_errors=True)
            base = interpreter(cell.python)
            subprocess.run([base, "-m", "venv", directory], check=True)
            wandb = {None: (), "": ("wandb",)}.get(cell.wandb, (f"wandb=={cell.wandb}",))
            pip(python, "install", *wandb, "numpy", *cell.pins)
            (directory / ".complete").write_text("\n".join(cell.pins))
        installed = directory / ".wheel"
        if not installed.exists() or installed.read_text() != wheel.parent.name:
            pip(python, "install", "--no-deps", "--force-reinstall", wheel)
            installed.write_text(wheel.parent.name)
    return str(python)


def pip(python, *arguments):
    command = [python, "-m", "pip", "--quiet", "--disable-pip-version-check", *arguments]
    subprocess.run(command, check=True, stdout=sys.stderr, env=dict(os.environ))
