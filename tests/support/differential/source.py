# SPDX-License-Identifier: Apache-2.0
"""Programs as one Python script: the prelude, a function for each run, and `main`."""

from pathlib import Path

from support.differential.program import indented

PRELUDE = Path(__file__).with_name("prelude.py").read_text()
IMPORTS = "import os, signal, sys, threading, time, unittest.mock\n\nimport numpy\n"


def script(programs):
    """The script that trains these runs one after the other."""
    functions = [function(number, program) for number, program in enumerate(programs)]
    calls = [f"run_{number}()" for number in range(len(programs))]
    main = ['if __name__ == "__main__":', *indented(calls)]
    return "\n\n".join([IMPORTS + PRELUDE, *functions, "\n".join(main) + "\n"])


def whole(text):
    """A script that does everything itself."""
    return IMPORTS + PRELUDE + "\n\n" + text


def function(number, program):
    begin = f'run = wandb.init(project="p", id="{program.name}", reinit=True)'
    lines = [begin, *program.lines(), "run.finish()"]
    return "\n".join([f"def run_{number}():", *indented(lines)])
