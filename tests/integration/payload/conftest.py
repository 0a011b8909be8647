# SPDX-License-Identifier: Apache-2.0
import os
import shutil
import subprocess
import sys

import pytest

from support import matrix
from support.repository import ROOT

VERSIONS = sorted({cell.python for cell in matrix.MATRIX}, key=lambda v: int(v.split(".")[1]))
BUILD = ROOT / "packaging" / "payload" / "build.py"


@pytest.fixture(scope="session")
def wrapper(tmp_path_factory):
    """The exec wrapper, built as the image builds it."""
    if shutil.which("musl-gcc") is None:
        pytest.skip("musl-gcc is not installed")
    path = tmp_path_factory.mktemp("exec_wrapper") / "exec"
    subprocess.run([ROOT / "packaging" / "exec_wrapper" / "build.sh", path], check=True)
    return path


@pytest.fixture(scope="session")
def prebuilt(tmp_path_factory):
    """The tree as the image has it, with the byte code of every Python at hand."""
    tree = tmp_path_factory.mktemp("payload") / "tree"
    subprocess.run([sys.executable, BUILD, "tree", tree], check=True)
    for python in filter(None, map(matrix.interpreter, VERSIONS)):
        subprocess.run([python, BUILD, "compile", tree], check=True)
    return tree


@pytest.fixture
def hook_install():
    """Runs `primus-lens hook install`, by default as root."""

    def run(*arguments, user=None, **options):
        command = [sys.executable, "-m", "primus_lens_cli", "hook", "install", *arguments]
        if user:
            command = ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups",
                       "--bounding-set=-all", "--inh-caps=-all", *command]  # fmt: skip
        return subprocess.run(
            list(map(str, command)), capture_output=True, text=True, cwd="/", **options
        )

    return run


@pytest.fixture(scope="session")
def installed(prebuilt, tmp_path_factory):
    """A directory that the tree has been installed into."""
    to = tmp_path_factory.mktemp("installed")
    command = [sys.executable, "-m", "primus_lens_cli", "hook", "install"]
    subprocess.run([*command, "--to", to, "--from", prebuilt], check=True, env=dict(os.environ))
    return to
