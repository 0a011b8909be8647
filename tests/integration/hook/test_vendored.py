# SPDX-License-Identifier: Apache-2.0
"""Where psutil and pynvml come from, and that ours stay out of sight of the user's."""

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

import primus_lens_hook
import pytest

from support import matrix

LOAD = "from primus_lens_hook.system import vendored\n"
NAMES = ["psutil", "pynvml"]


@pytest.fixture
def tree(tmp_path):
    """What lies in pods: the hook, and the copies."""
    tree = tmp_path / "tree"
    leave = shutil.ignore_patterns("__pycache__", "tests")
    shutil.copytree(Path(primus_lens_hook.__file__).parent, tree / "primus_lens_hook", ignore=leave)
    (tree / "private").mkdir()
    for name in NAMES:
        spec = importlib.util.find_spec(name)
        for path in spec.submodule_search_locations or ():
            shutil.copytree(path, tree / "private" / name, ignore=leave)
        if not spec.submodule_search_locations:
            shutil.copy(spec.origin, tree / "private")
    return tree


def run(program, *path, python=sys.executable, flags=("-W", "error")):
    """What it prints without our site-packages, but with these directories."""
    environ = {"PYTHONPATH": os.pathsep.join(map(str, path)), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [python, "-S", *flags, "-c", LOAD + program]
    done = subprocess.run(command, env=environ, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.strip()


def write(directory, **modules):
    directory.mkdir()
    for name, text in modules.items():
        (directory / f"{name}.py").write_text(text)
    return directory


@pytest.mark.parametrize("version", [cell.python for cell in matrix.MATRIX])
def test_the_copies_work_in_each_python(tree, version):
    python = matrix.interpreter(version) or pytest.skip(f"no Python {version} on this machine")
    psutil = "psutil = vendored.load('psutil')\nprint(psutil.virtual_memory().total > 0, "
    psutil += "psutil.Process().memory_info().rss > 0, psutil.cpu_percent() >= 0)\n"
    pynvml = "print(vendored.load('pynvml').NVMLError(9).value)"
    assert run(psutil + pynvml, tree, python=python) == "True True True\n9"


@pytest.mark.parametrize("name", NAMES)
def test_the_users_own_comes_first(tree, tmp_path, name):
    user = write(tmp_path / "user", **{name: "mine = True"})
    program = f"import {name}\nprint(vendored.load('{name}') is {name}, {name}.mine)"
    assert run(program, tree, user) == "True True"


@pytest.mark.parametrize("name", NAMES)
def test_a_later_import_does_not_find_the_copy(tree, tmp_path, name):
    user = write(tmp_path / "user", **{name: "mine = True"})
    program = f"""
import sys
path = list(sys.path)
copy = vendored.load('{name}')
print('{name}' in sys.modules, sys.path == path, vendored.load('{name}') is copy)
sys.path.append({str(user)!r})
import {name}
print({name}.mine, {name} is copy)
"""
    assert run(program, tree) == "False True True\nTrue False"


@pytest.mark.parametrize(
    "text", ["raise ImportError", "raise SystemError('broken')", "import no_such_module"]
)
def test_the_copy_stands_in_for_a_broken_one(tree, tmp_path, text):
    user = write(tmp_path / "user", pynvml=text)
    assert ".vendored." in run("print(vendored.load('pynvml').__name__)", tree, user)


def test_a_directory_of_that_name_is_not_the_users_own(tree, tmp_path):
    (tmp_path / "user" / "pynvml").mkdir(parents=True)
    program = "print(vendored.load('pynvml').__name__)"
    assert ".vendored." in run(program, tree, tmp_path / "user")


def test_without_either_there_is_none(tree):
    shutil.rmtree(tree / "private")
    assert run("print(vendored.load('psutil'), vendored.load('pynvml'))", tree) == "None None"


@pytest.mark.parametrize("text", ["raise OSError", "import no_such_module", "("])
def test_a_broken_copy_is_none_and_leaves_no_trace(tree, text):
    (tree / "private" / "pynvml.py").write_text(text)
    program = "import sys\nprint(vendored.load('pynvml'), *(m for m in sys.modules if 'nvml' in m))"
    assert run(program, tree) == "None"


def test_a_warning_that_it_is_deprecated_is_not_shown(tree, tmp_path):
    """As pynvml 13 gives it, to whoever looks for the module."""
    finder = """
import sys, warnings
class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == 'pynvml':
            warnings.warn('deprecated', FutureWarning, stacklevel=2)
sys.meta_path.insert(0, Finder())
"""
    user = write(tmp_path / "user", pynvml="mine = True", redirector=finder)
    program = "import redirector\nprint(vendored.load('pynvml').mine)"
    assert run(program, tree, user, flags=()) == "True"
