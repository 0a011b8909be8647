# SPDX-License-Identifier: Apache-2.0
"""The tree as pods have it: read-only, for every Python, by PYTHONPATH, exec wrapper and `.pth`."""

import re
import shutil
import subprocess
import sys
import sysconfig

import pytest
from primus_lens_cli import payload
from primus_lens_hook import contract
from primus_lens_webhook.options import HOOK_SIZE
from primus_lens_webhook.quantity import quantity

from support import environments, matrix, training
from support.environment import clean_environ
from support.repository import ROOT

VERSIONS = sorted({cell.python for cell in matrix.MATRIX}, key=lambda v: int(v.split(".")[1]))
LOADED = "import sys; b = sys.modules.get('primus_lens_hook.boot'); print(b and b.installed())"
# Instructions. That of 3.11 is built without link-time optimisation here; distributions have it.
BUDGETS = {"3.11": 2_500_000, "3.14": 2_000_000, "3.15": 2_000_000}


def interpreter(version):
    return matrix.interpreter(version) or pytest.skip(f"no Python {version} on this machine")


def run(python, *arguments, tree=None, **environ):
    path = {"PYTHONPATH": f"{tree}/primus_lens_hook/bootstrap"} if tree else {}
    environ = {**clean_environ(), **path, **environ}
    command = [str(python), *map(str, arguments)]
    return subprocess.run(command, env=environ, capture_output=True, text=True, cwd="/")


@pytest.mark.parametrize("version", VERSIONS)
def test_each_python_reads_its_byte_code_and_compiles_nothing(version, installed):
    done = run(interpreter(version), "-v", "-c", LOADED, tree=installed)
    assert done.stdout == "True\n"
    read = re.findall(rf"code object from '{installed}/\S+?([a-z_]+)\.pyc?'", done.stderr)
    assert read == [], "compiled from source"
    matched = re.findall(rf"matches {installed}/primus_lens_hook/(\S+)\.py", done.stderr)
    assert sorted(matched) == ["__init__", "boot", "bootstrap/sitecustomize"]


@pytest.mark.parametrize("version", VERSIONS)
def test_byte_code_names_the_place_where_it_will_lie(version, prebuilt):
    """A start would correct another one, function by function."""
    program = "import marshal, sys; print(marshal.loads(open(sys.argv[1], 'rb').read()[16:]))"
    python, tag = interpreter(version), "cpython-" + version.replace(".", "")
    place = f"primus_lens_hook/__pycache__/boot.{tag}.pyc"
    printed = run(python, "-c", program, prebuilt / place).stdout
    assert f'"{contract.HOOK_MOUNT}/primus_lens_hook/boot.py"' in printed


@pytest.mark.skipif(shutil.which("valgrind") is None, reason="valgrind is not installed")
@pytest.mark.parametrize("version", BUDGETS)
def test_a_start_costs_few_instructions(version, installed, tmp_path):
    """Counted, not timed; beside a PYTHONPATH that leads to nothing."""
    python = environments.bare(interpreter(version), tmp_path / "venv")
    bare = environments.instructions(python, PYTHONPATH=str(tmp_path))
    hooked = environments.instructions(python, PYTHONPATH=f"{installed}/primus_lens_hook/bootstrap")
    assert 0 < hooked - bare <= BUDGETS[version]


def test_a_volume_of_a_pod_holds_it_twice(prebuilt):
    """An init container that runs again copies the tree beside the one that pods see."""
    blocks = sum(path.lstat().st_blocks for path in prebuilt.rglob("*"))
    assert 2 * blocks * 512 < quantity(HOOK_SIZE)


@pytest.mark.parametrize("version", ["2.7", "3.6"])
def test_old_pythons_are_left_alone(version, installed):
    done = run(interpreter(version), "-c", "print('runs')", tree=installed)
    assert (done.stdout, done.stderr) == ("runs\n", "")


@pytest.mark.parametrize("module", ["psutil", "pynvml", "private", "pth", "current"])
def test_nothing_beside_the_hook_becomes_importable(module, installed):
    done = run(interpreter("3.11"), "-c", f"import {module}", tree=installed)
    assert "ModuleNotFoundError" in done.stderr


@pytest.mark.parametrize("version", VERSIONS)
def test_the_private_packages_work_on_each_python(version, installed):
    program = f"""
import sys; sys.path.insert(0, {str(installed / "private")!r}); sys.dont_write_bytecode = True
import psutil, pynvml; print(psutil.Process().pid > 0, callable(pynvml.nvmlInit))
"""
    assert run(interpreter(version), "-c", program).stdout == "True True\n"


def test_licences_lie_beside_the_private_packages(installed):
    assert list(installed.glob("private/psutil-*/LICENSE"))
    assert "BSD" in next(installed.glob("private/nvidia_ml_py-*/METADATA")).read_text()


@pytest.mark.parametrize("version", VERSIONS)
def test_the_step_fix_is_importable(version, installed):
    program = "import wandb_step_fix; print(wandb_step_fix.__file__)"
    done = run(interpreter(version), "-c", program, tree=installed)
    assert done.stdout == f"{installed}/wandb_step_fix.py\n"


def test_a_users_own_step_fix_comes_first(installed, tmp_path):
    (tmp_path / "wandb_step_fix.py").write_text("print('mine')")
    program = f"import sys; sys.path.append({str(tmp_path)!r}); import wandb_step_fix"
    done = run(interpreter("3.11"), "-c", program, tree=installed)
    assert done.stdout == "mine\n"


TRAIN = """
import wandb, wandb_step_fix
wandb.init(project="p")
wandb.log({"loss": 0.5})
wandb.finish()
"""
FINDERS = """
import sys; print([type(finder).__name__ for finder in sys.meta_path].count("RunClassFinder"))
"""


@pytest.fixture
def bare(tmp_path):
    """A user's environment: wandb, and nothing of ours."""
    python = environments.bare(sys.executable, tmp_path / "bare")
    site = environments.site_packages(python)
    # The packages beside us, but not their .pth files: ours is one.
    (site / "packages.pth").write_text(sysconfig.get_paths()["purelib"])
    return python


@pytest.fixture
def mounted(bare, tmp_path):
    """The tree, and its `.pth` in the user's site-packages: returns both."""
    tree = tmp_path / "mount"
    payload.prepare(str(tmp_path / "source"), str(tree))
    payload.install(str(tmp_path / "source"), str(tree))
    site = environments.site_packages(bare)
    shutil.copy(tree / "pth" / "primus_lens_hook.pth", site)
    return tree, site


def test_an_unmodified_script_by_python_path(installed, bare, tmp_path):
    path = {"PYTHONPATH": f"{installed}/primus_lens_hook/bootstrap"}
    script = TRAIN.replace(", wandb_step_fix", "")
    assert training.run(tmp_path / "without", script, python=str(bare)).data == []
    done = training.run(tmp_path / "with", TRAIN, python=str(bare), env=path)
    assert (done.data, done.complaints) == ([{"loss": 0.5}], [])


@pytest.mark.exhaustive
@pytest.mark.parametrize("flags", [(), ("-I",), ("-E",)])
def test_an_unmodified_script_by_pth(bare, mounted, tmp_path, flags):
    done = training.run(tmp_path / "with", TRAIN, python=str(bare), flags=flags)
    assert (done.data, done.complaints) == ([{"loss": 0.5}], [])


def test_a_pth_without_its_mount_is_silent(bare, mounted):
    tree, _ = mounted
    tree.rename(tree.parent / "elsewhere")
    program = f"import sys; print('primus_lens_hook' in sys.modules, {str(tree)!r} in sys.path)"
    done = run(bare, "-c", program)
    assert (done.stdout, done.stderr) == ("False False\n", "")


def test_the_pth_of_the_image_names_the_mount(installed):
    assert f"'{contract.HOOK_MOUNT}'" in (installed / "pth" / "primus_lens_hook.pth").read_text()


def test_all_ways_at_once_are_one_hook(bare, mounted, installed):
    """The `.pth`, PYTHONPATH, and the package itself as pip would put it there."""
    _, site = mounted
    shutil.copytree(installed / "primus_lens_hook", site / "primus_lens_hook")
    (site / "another.pth").write_text((ROOT / "hook" / "primus_lens_hook.pth").read_text())
    assert run(bare, "-c", FINDERS, tree=installed).stdout == "1\n"
