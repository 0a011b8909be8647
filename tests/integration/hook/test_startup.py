# SPDX-License-Identifier: Apache-2.0
"""Every way into an interpreter, and what must not happen there."""

import os
import shutil
import subprocess
import sys
import textwrap
import zipapp
from pathlib import Path

import primus_lens_hook
import pytest

from support import matrix
from support.environment import clean_environ

BOOTSTRAP = Path(primus_lens_hook.__file__).parent / "bootstrap"
LOADED = "import sys; b = sys.modules.get('primus_lens_hook.boot'); print(b and b.installed())"
OLD = ["2.7", "3.6"]
HOOKED = [cell.python for cell in matrix.MATRIX]


def ask(python, *arguments, program=LOADED, path=BOOTSTRAP, **environ):
    """What a program prints in a bare interpreter with the bootstrap on PYTHONPATH."""
    environ = {**clean_environ(), "PYTHONPATH": str(path), **environ}
    done = subprocess.run(
        [python, *arguments, "-c", program], env=environ, capture_output=True, text=True
    )
    assert done.stderr == ""
    return done.stdout.strip()


def interpreter(version):
    found = matrix.interpreter(version)
    return found or pytest.skip(f"no Python {version} on this machine")


@pytest.mark.parametrize("version", HOOKED)
def test_bootstrap_loads(version):
    assert ask(interpreter(version)) == "True"


@pytest.mark.parametrize("version", OLD)
def test_bootstrap_declines_in_silence(version, tmp_path):
    (tmp_path / "sitecustomize.py").write_text("print('chained')")
    path = os.pathsep.join([str(BOOTSTRAP), str(tmp_path)])
    program = "import sys; print('primus_lens_hook' in sys.modules)"
    assert ask(interpreter(version), program=program, path=path) == "chained\nFalse"


@pytest.mark.parametrize("version", HOOKED)
def test_nothing_but_two_small_modules_is_imported(version):
    program = "import sys; print(*sorted(sys.modules))"
    python = interpreter(version)
    bare = set(ask(python, program=program, path="").split())
    ours = {"sitecustomize", "primus_lens_hook"}
    ours |= {f"primus_lens_hook.{name}" for name in ("boot",)}
    assert set(ask(python, program=program).split()) - bare <= ours


@pytest.mark.parametrize("version", HOOKED)
def test_the_hidden_sitecustomize_runs(version, tmp_path):
    hidden = (
        "import sys; print('hidden', __name__, sys.modules['sitecustomize'].__file__ == __file__)"
    )
    (tmp_path / "sitecustomize.py").write_text(hidden)
    path = os.pathsep.join([str(BOOTSTRAP), str(tmp_path)])
    assert ask(interpreter(version), path=path) == "hidden sitecustomize True\nTrue"


def test_an_error_in_the_hidden_one_is_shown_as_ever(tmp_path):
    (tmp_path / "sitecustomize.py").write_text("import no_such_module")
    path = os.pathsep.join([str(BOOTSTRAP), str(tmp_path)])
    done = subprocess.run(
        [sys.executable, "-c", LOADED],
        env={**clean_environ(), "PYTHONPATH": path},
        capture_output=True,
        text=True,
    )
    assert "no_such_module" in done.stderr
    assert done.stdout == "True\n"


@pytest.mark.parametrize("flags", [(), ("-s",), ("-O",), ("-B",), ("-P",)])
def test_flags(flags):
    assert ask(sys.executable, *flags) == "True"


@pytest.mark.parametrize("flags", [("-I",), ("-E",)])
def test_isolated_interpreters_load_the_pth(flags):
    assert ask(sys.executable, *flags) == "True"  # pip put it into this environment


def test_switched_off():
    for word in ("false", "0", "no", "OFF"):
        assert ask(sys.executable, PRIMUS_LENS_WANDB_HOOK=word) == "False"


def test_a_zipapp_is_hooked(tmp_path):
    source = tmp_path / "app"
    source.mkdir()
    (source / "__main__.py").write_text(LOADED)
    zipapp.create_archive(source, tmp_path / "app.pyz")
    environ = {**clean_environ(), "PYTHONPATH": str(BOOTSTRAP)}
    bare = matrix.interpreter("3.11") or sys.executable
    printed = subprocess.check_output([bare, tmp_path / "app.pyz"], env=environ, text=True)
    assert printed == "True\n"


def test_one_finder_however_often_it_starts():
    program = """
        import sys
        from primus_lens_hook import boot
        boot.start(); boot.start()
        print([type(f).__name__ for f in sys.meta_path].count("RunClassFinder"))
    """
    assert ask(sys.executable, program=textwrap.dedent(program)) == "1"


def test_only_the_hook_is_made_importable(tmp_path):
    tree = tmp_path / "tree"
    shutil.copytree(BOOTSTRAP.parent, tree / "primus_lens_hook")
    (tree / "secret.py").write_text("")
    program = (
        "import primus_lens_hook.patch, importlib.util; print(importlib.util.find_spec('secret'))"
    )
    bare = matrix.interpreter("3.11") or sys.executable
    assert ask(bare, program=program, path=tree / "primus_lens_hook" / "bootstrap") == "None"


def test_foreign_finders_are_respected(train):
    done = train("""
        import sys
        class Old:                      # the protocol before find_spec
            def find_module(self, name, path=None):
                pass
        class Curious:
            seen = []
            def find_spec(self, name, path=None, target=None):
                self.seen.append(name)
        sys.meta_path.insert(0, Old()); sys.meta_path.insert(1, Curious())
        import inspect, wandb
        from wandb.sdk import wandb_run
        print(type(wandb_run.__loader__).__name__, "wandb.sdk.wandb_run" in Curious.seen)
        print("class Run" in inspect.getsource(wandb_run))
        wandb.init(project="p"); wandb.log({"a": 1}); wandb.finish()
    """)
    assert done.stdout == "SourceFileLoader True\nTrue\n"
    assert done.data == [{"a": 1}]


ASCII = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}


@pytest.mark.parametrize("locale", [{}, ASCII], ids=["", "of ASCII"])
def test_settings_from_the_config_file(train, tmp_path, wheel, locale):
    """For processes that lose the variables: a file beside the injected package."""
    shutil.copytree(BOOTSTRAP.parent, tmp_path / "tree" / "primus_lens_hook")
    (tmp_path / "tree" / "primus_lens_hook.env").write_text(
        f"# written by the init container\nPRIMUS_LENS_WANDB_OUTPUT_PATH={tmp_path}/récords\n"
    )
    done = train(
        "import wandb; wandb.init(project='p'); wandb.log({'a': 1}); wandb.finish()",
        env={
            "PRIMUS_LENS_WANDB_OUTPUT_PATH": None,
            "PYTHONPATH": str(tmp_path / "tree"),  # shadows the installed one
            **locale,
        },
    )
    (tmp_path / "récords").rename(done.output)
    assert done.data == [{"a": 1}]
