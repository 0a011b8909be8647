# SPDX-License-Identifier: Apache-2.0
"""Builds the tree that lands in pods, as the Dockerfile's stages do.

`build.py tree DIR` makes it of this checkout, with the packages of requirements.txt in
`private/`; `build.py compile DIR` adds the byte code of the Python that runs it, 3.7 or newer.
"""

# ruff: noqa: INP001  # a script, not a package
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parents[1] / part) for part in ("hook", "cli")]

from primus_lens_cli import payload  # noqa: E402  # found by the line above
from primus_lens_hook import contract  # noqa: E402

# Of the packages in private/: what Linux never loads.
SYSTEMS = ("aix", "bsd", "osx", "sunos", "windows")
UNUSED = ["example.py", *("psutil/_ps" + system + ".py" for system in SYSTEMS)]
PIP = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
WHEELS = ["--no-cache-dir", "--no-compile", "--no-deps", "--only-binary=:all:"]


def tree(directory: Path) -> None:
    """Make the tree, without byte code and exec wrapper."""
    directory.mkdir(parents=True, exist_ok=True)
    payload.assemble(str(directory), contract.HOOK_MOUNT)
    private = directory / "private"
    command = [*PIP, *WHEELS, "--target", private, "--requirement", HERE / "requirements.txt"]
    subprocess.run(command, check=True)  # noqa: S603  # our own list
    for name in UNUSED:
        (private / name).unlink()
    shutil.rmtree(str(private / "bin"), ignore_errors=True)


if __name__ == "__main__":
    step, where = sys.argv[1:]
    if step == "tree":
        tree(Path(where))
    else:
        payload.precompile(where, contract.HOOK_MOUNT)
