# SPDX-License-Identifier: Apache-2.0
"""The demo, as `make demo` runs it, but shorter."""

import os
import subprocess
import sys

import pytest

from support.environment import clean_environ
from support.repository import ROOT

TRAIN = ROOT / "examples" / "train.py"


def demo(script, **environ):
    return subprocess.run(
        [sys.executable, "-m", "primus_lens_cli", "demo", script, "--steps", "15"],
        env={**clean_environ(), "COLUMNS": "100", **environ},
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_every_log_call_arrives():
    done = demo(TRAIN)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "64 log calls, 64 lines on disk, 64 records in" in done.stdout
    assert "train/loss" in done.stdout
    assert 'primus_lens_wandb_metric{key="train/loss"}' in done.stdout


@pytest.mark.exhaustive
def test_without_prometheus_it_reads_the_exporter_and_says_so(tmp_path):
    done = demo(TRAIN, PATH=str(tmp_path))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Prometheus  not found" in done.stdout
    assert "64 records in the exporter" in done.stdout


def test_a_script_that_fails_is_shown(tmp_path):
    script = tmp_path / "broken.py"
    script.write_text("raise SystemExit('the data set is missing')")
    done = demo(script)
    assert done.returncode == 1
    assert "the data set is missing" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr


@pytest.mark.exhaustive
def test_nothing_is_left_behind(tmp_path):
    demo(TRAIN, TMPDIR=str(tmp_path), PATH=os.environ["PATH"])
    assert list(tmp_path.glob("primus-lens-*")) == []
