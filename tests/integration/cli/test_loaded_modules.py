# SPDX-License-Identifier: Apache-2.0
"""A command loads only what it uses: each import is paid at every start, in time and memory."""

import subprocess
import sys

import pytest
from primus_lens_cli.main import COMMANDS

from support.environment import clean_environ

COMMAND = "from primus_lens_cli.main import main; main([{!r}, '--help'])"
READING, STORE = (
    "import primus_lens_exporter.reading.rank",
    "import primus_lens_exporter.series.store",
)
HOOK = {"primus_lens_cli", "primus_lens_hook"}
INJECT = {*HOOK, "primus_lens_toolkit", "primus_lens_webhook", "jsonpatch", "jsonpointer", "ruamel"}
# What the extras of pyproject.toml bring, by the names under which it is imported.
COSTLY = {
    "aiohttp", "bcrypt", "cramjam", "cryptography", "google.protobuf", "inotify_simple", "isal",
    "jsonpatch", "kubernetes", "logfmter", "msgspec", "orjson", "prometheus_client",
    "pythonjsonlogger", "re2", "rich", "ruamel", "urllib3", "yaml", "yarl",
}  # fmt: skip
USED = {
    READING: {"inotify_simple", "msgspec"},
    STORE: {"msgspec", "orjson", "re2"},
    COMMAND.format("hook"): set(),
    COMMAND.format("backfill"): {"msgspec", "re2", "rich"},
    COMMAND.format("top"): {"aiohttp", "msgspec", "rich", "yarl"},
}


def loaded(code):
    """The modules that a new interpreter has loaded after this code."""
    told = "print(*sys.modules, file=sys.stderr)"
    done = subprocess.run(
        [sys.executable, "-c", f"import sys\ntry:\n    {code}\nfinally:\n    {told}"],
        env=clean_environ(),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return set(done.stderr.split())


def packages(code):
    """The same, but packages alone, and none of the standard library."""
    names = {name.partition(".")[0] for name in loaded(code)} - set(sys.stdlib_module_names)
    return {name for name in names if not name.startswith("_")}


@pytest.mark.parametrize(("code", "used"), USED.items())
def test_nothing_costly_is_loaded_but_what_is_used(code, used):
    assert loaded(code) & COSTLY == used


@pytest.mark.parametrize(
    ("command", "allowed"), [("hook", HOOK), ("run", HOOK), ("inject", INJECT)]
)
def test_nothing_else_is_loaded(command, allowed):
    assert packages(f"import {COMMANDS[command].module}") <= allowed


def test_the_webhook_loads_kubernetes_only_to_use_it():
    idle = {"kubernetes", "jsonpatch", "ruamel", "yaml", "rich", "primus_lens_exporter"}
    assert packages(f"import {COMMANDS['webhook'].module}") & idle == set()


def test_the_exporter_loads_nothing_for_terminals():
    assert "rich" not in loaded(COMMAND.format("exporter"))
