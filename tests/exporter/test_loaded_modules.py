# SPDX-License-Identifier: Apache-2.0
"""What is loaded by importing the reading side, and by each command, of what is costly."""

import subprocess
import sys

import pytest
import training

# What the extras of pyproject.toml bring, by the names under which it is imported.
COSTLY = {
    "aiohttp", "bcrypt", "cramjam", "cryptography", "google.protobuf", "inotify_simple", "isal",
    "jsonpatch", "kubernetes", "logfmter", "msgspec", "orjson", "prometheus_client",
    "pythonjsonlogger", "re2", "rich", "ruamel", "urllib3", "yaml", "yarl",
}  # fmt: skip
COMMAND = "from primus_lens_cli.main import main; main({!r})"
USED = {
    "import primus_lens_exporter.reading.rank": {"inotify_simple", "msgspec"},
    "import primus_lens_exporter.series.store": {"msgspec", "orjson", "re2"},
    COMMAND.format(["hook", "--help"]): set(),
    COMMAND.format(["backfill", "--help"]): {"msgspec", "re2", "rich"},
    COMMAND.format(["top", "--help"]): {"aiohttp", "msgspec", "rich", "yarl"},
}


def loaded(code):
    """The modules that a new interpreter has loaded after this code."""
    told = "print(*sys.modules, file=sys.stderr)"
    done = subprocess.run(
        [sys.executable, "-c", f"import sys\ntry:\n    {code}\nfinally:\n    {told}"],
        env=training.clean_environ(),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return set(done.stderr.split())


@pytest.mark.parametrize(("code", "used"), USED.items())
def test_nothing_costly_is_loaded_but_what_is_used(code, used):
    assert loaded(code) & COSTLY == used


def test_the_exporter_loads_nothing_for_terminals():
    assert "rich" not in loaded(COMMAND.format(["exporter", "--help"]))
