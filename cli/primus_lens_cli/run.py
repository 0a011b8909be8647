# SPDX-License-Identifier: Apache-2.0
"""`primus-lens run -- CMD…`: one command, and all Python it starts, with the hook loaded.

For an interpreter that the package is not installed in, or a one-off. The command takes
the place of this process: its signals, its terminal and its exit status are its own.
"""

from __future__ import annotations

import argparse
import os
import sys
from typing import List

import primus_lens_hook
from primus_lens_hook import contract

EPILOG = """\
example:
  PRIMUS_LENS_WANDB_OUTPUT_PATH=./metrics primus-lens run -- python train.py"""


def main(arguments: List[str]) -> int:
    """Replace this process by the command; returns only if that is not possible."""
    parser = argparse.ArgumentParser(
        prog="primus-lens run",
        usage="primus-lens run -- COMMAND [ARGUMENT …]",
        description="Run one command with the hook loaded in every Python that it starts.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("command", nargs=argparse.REMAINDER, help="the command, after --")
    command = parser.parse_args(arguments).command
    if command[:1] == ["--"]:
        del command[0]
    if not command:
        parser.error("name a command, as in: primus-lens run -- python train.py")
    if not os.environ.get(contract.ENV_OUTPUT_PATH):
        note = "primus-lens run: %s is not set, so no metrics will be saved\n"
        sys.stderr.write(note % contract.ENV_OUTPUT_PATH)
    return _exec(command)


def _exec(command: List[str]) -> int:
    bootstrap = os.path.join(
        os.path.dirname(os.path.abspath(primus_lens_hook.__file__)), "bootstrap"
    )
    inherited = os.environ.get("PYTHONPATH")
    # First: another sitecustomize that does not chain would hide ours.
    os.environ["PYTHONPATH"] = bootstrap + os.pathsep + inherited if inherited else bootstrap
    try:
        os.execvp(command[0], command)
    except FileNotFoundError:
        print("primus-lens run: command not found: " + command[0], file=sys.stderr)
        return 127
    except OSError as error:
        print("primus-lens run: %s: %s" % (command[0], error.strerror), file=sys.stderr)
        return 126
