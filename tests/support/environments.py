# SPDX-License-Identifier: Apache-2.0
"""Virtual environments that have nothing in them, and what a start of their Python costs."""

import os
import re
import subprocess


def bare(base, directory):
    """The interpreter of a new environment without any package."""
    subprocess.run([base, "-m", "venv", "--without-pip", directory], check=True)
    return directory / "bin" / "python"


def site_packages(python):
    (directory,) = python.parent.parent.glob("lib/python3*/site-packages")
    return directory


def instructions(python, **environ):
    """How many instructions its start takes, with its byte code written."""
    environ = {"PATH": os.environ["PATH"], "PYTHONHASHSEED": "0", **environ}
    program = [python, "-c", "pass"]
    subprocess.run(program, env=environ, check=True)
    command = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", *program]
    done = subprocess.run(command, env=environ, capture_output=True, text=True)
    return int(re.search(r"Collected : (\d+)", done.stderr)[1])
