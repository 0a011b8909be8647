# SPDX-License-Identifier: Apache-2.0
"""A command loads only what it uses: each import is paid at every start, in time and memory."""

import subprocess
import sys

import pytest
from primus_lens_cli.main import COMMANDS

PROGRAM = """
import importlib, sys
importlib.import_module(sys.argv[1])
names = {name.partition(".")[0] for name in sys.modules} - set(sys.stdlib_module_names)
print(*(name for name in names if not name.startswith("_")))
"""
OURS = {"primus_lens_cli", "primus_lens_hook"}
TOOLKIT = {*OURS, "primus_lens_toolkit"}


def loaded(command):
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, COMMANDS[command].module], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split())


@pytest.mark.parametrize(
    ("command", "allowed"),
    [
        ("hook", OURS),
        ("run", OURS),
        ("inject", {*TOOLKIT, "primus_lens_webhook", "jsonpatch", "jsonpointer", "ruamel"}),
    ],
)
def test_nothing_else_is_loaded(command, allowed):
    assert loaded(command) <= allowed


def test_the_webhook_loads_kubernetes_only_to_use_it():
    idle = {"kubernetes", "jsonpatch", "ruamel", "yaml", "rich", "primus_lens_exporter"}
    assert loaded("webhook") & idle == set()
