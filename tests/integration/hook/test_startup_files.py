# SPDX-License-Identifier: Apache-2.0
"""The files in site-packages that start the hook: `.pth`, and `.start` of Python 3.15 and newer."""

import os
import shutil
import subprocess
from pathlib import Path

import primus_lens_hook
import pytest
from primus_lens_cli.hook import PTH, START, startup_files

from support import environments, matrix
from support.environment import clean_environ

PACKAGE = Path(primus_lens_hook.__file__).parent
FINDERS = "import sys; print([type(f).__name__ for f in sys.meta_path].count('RunClassFinder'))"
BOTH = startup_files((3, 18))
WAYS = [("3.14", [PTH]), ("3.15", [PTH]), ("3.15", [START]), ("3.15", [PTH, START])]
BUDGET = 2_000_000  # instructions


@pytest.fixture
def started(request, tmp_path):
    """A Python with these start-up files, and the hook in its site-packages."""
    version, names = request.param
    base = matrix.interpreter(version) or pytest.skip(f"no Python {version} on this machine")
    python = environments.bare(base, tmp_path / "venv")
    site = environments.site_packages(python)
    shutil.copytree(PACKAGE, site / PACKAGE.name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in names:
        (site / name).write_text(BOTH[name])
    return python


def run(python, *arguments, **environ):
    environ = {**clean_environ(), **environ}
    done = subprocess.run([python, *arguments], env=environ, capture_output=True, text=True)
    return done.stdout, done.stderr


every_way = pytest.mark.parametrize("started", WAYS, indirect=True, ids=str)


@every_way
def test_one_hook_with_each_flag(started):
    for flags in ([], ["-I"], ["-E"], ["-s"], ["-B"], ["-W", "error"]):
        assert run(started, *flags, "-c", FINDERS) == ("1\n", "")
    assert run(started, "-S", "-c", FINDERS) == ("0\n", "")


@every_way
def test_one_hook_when_site_packages_is_added_again(started):
    site = environments.site_packages(started)
    assert run(started, "-c", f"import site; site.addsitedir({str(site)!r}); {FINDERS}") == (
        "1\n",
        "",
    )


@every_way
def test_one_hook_where_python_path_brings_another(started):
    path = os.pathsep.join(map(str, (PACKAGE / "bootstrap", environments.site_packages(started))))
    assert run(started, "-c", FINDERS, PYTHONPATH=path) == ("1\n", "")


@every_way
def test_an_error_of_ours_is_not_printed(started):
    boot = environments.site_packages(started) / PACKAGE.name / "boot.py"
    boot.write_text(boot.read_text().replace("def switched_on()", "def gone()"))
    assert run(started, "-c", FINDERS) == ("0\n", "")


@every_way
def test_switched_off(started):
    assert run(started, "-c", FINDERS, PRIMUS_LENS_WANDB_HOOK="false") == ("0\n", "")


@pytest.mark.skipif(shutil.which("valgrind") is None, reason="valgrind is not installed")
@pytest.mark.parametrize(
    "started", [(version, [PTH]) for version in matrix.FETCHED], indirect=True, ids=str
)
def test_a_start_costs_few_instructions(started):
    """Beside a `.pth` of another package: for the first one, site loads an encoding."""
    site = environments.site_packages(started)
    hooked = environments.instructions(started)
    (site / PTH).write_text("import sys\n")
    assert 0 < hooked - environments.instructions(started) <= BUDGET


def test_python_3_18_gets_the_file_that_it_reads():
    assert list(startup_files((3, 17))) == [PTH]
    assert list(BOTH) == [PTH, START]
