# SPDX-License-Identifier: Apache-2.0
"""The gate measures nothing, but what the benchmarks import must be there."""

import subprocess
import sys

import pytest

from support.repository import ROOT

BENCHMARKS = sorted((ROOT / "benchmarks").glob("*.py"))
IMPORT = "import runpy, sys; sys.path.insert(0, 'benchmarks'); runpy.run_path(sys.argv[1])"


@pytest.mark.parametrize("path", BENCHMARKS, ids=lambda path: path.stem)
def test_a_benchmark_finds_what_it_imports(path):
    done = subprocess.run(
        [sys.executable, "-c", IMPORT, path], cwd=ROOT, capture_output=True, text=True
    )
    if "this needs atheris" in done.stderr:
        pytest.skip("atheris is not installed")
    assert done.returncode == 0, done.stderr
