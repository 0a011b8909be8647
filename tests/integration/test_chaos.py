# SPDX-License-Identifier: Apache-2.0
"""The chaos run of a fixed seed, and the check of its checks."""

import subprocess
import sys

import pytest

from support.repository import ROOT

pytestmark = [pytest.mark.exhaustive, pytest.mark.timeout(400), pytest.mark.xdist_group("chaos")]


def chaos(*arguments):
    command = [sys.executable, "-m", "support.chaos", *arguments]
    done = subprocess.run(command, cwd=ROOT / "tests", capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_each_lie_is_found_and_no_honest_training_is_accused():
    chaos("--lies")


def test_every_promise_is_kept():
    chaos("--seed", "gate", "--minutes", "1.2")
