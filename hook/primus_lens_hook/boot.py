# SPDX-License-Identifier: Apache-2.0
"""The entry point of each interpreter start: from the `.pth`, the `.start` file or sitecustomize.

It installs a meta path finder that has wandb's `Run` class patched as soon as wandb is imported.
It must never raise, print, or import anything but `sys` and `os`.
"""

# One file and two imports, on purpose: each Python process of the machine pays for it, those that
# never see wandb too. A file costs 0.4 M instructions; `importlib.abc` alone costs 92 M, more than
# twice a bare start.

import os
import sys

from primus_lens_hook import ENV_HOOK, FALSE_WORDS

TYPE_CHECKING = False  # typing costs milliseconds at every start; checkers know this name
if TYPE_CHECKING:
    from collections.abc import Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType
    from typing import Any

PACKAGE = "wandb"
TARGET = "wandb.sdk.wandb_run"
STEP_FIX = "wandb_step_fix"


def start() -> None:
    """Watch for the import of wandb, unless `PRIMUS_LENS_WANDB_HOOK` says no. Idempotent."""
    # Called twice in a virtual environment of Python 3.14 and older, where site processes its
    # `.pth` a second time. From Python 3.18 on the `.start` file calls it (PEP 829), since `import`
    # lines of a `.pth` are ignored then. What it raises, site would print at each start.
    try:
        if sys.version_info >= (3, 7) and switched_on():
            install()
    except Exception:  # never harm the training: no error of the hook reaches it
        return


def switched_on() -> bool:
    """Whether the environment leaves the hook on (the default)."""
    return os.environ.get(ENV_HOOK, "").strip().lower() not in FALSE_WORDS


class RunClassFinder:
    """Finds `wandb.sdk.wandb_run` through the finders behind it, and has it patched.

    And `wandb` itself, for a wandb that has its `Run` class elsewhere.
    """

    # It is never used up: transformers probes by `importlib.util.find_spec("wandb")` before it
    # imports it, notebooks reload modules, and tests delete them from sys.modules.
    def find_spec(
        self,
        name: "str",
        path: "Sequence[str] | None" = None,
        target: "ModuleType | None" = None,
    ) -> "ModuleSpec | None":
        if name == STEP_FIX:
            return _spec_of_step_fix(path, target)
        if name not in (TARGET, PACKAGE):
            return None
        spec = _found_by_others(name, path, target)
        if spec is not None:
            _patch_after_exec(spec.loader)
        return spec


def install() -> None:
    """Put the finder first on `sys.meta_path`; patch at once if wandb is loaded."""
    # Two threads may both see none: two finders are as good as one, and a lock would have each
    # start import threading. To take one out again is not safe while another thread imports.
    if installed():
        return
    # First: a finder that is asked after the path finder never sees a name that the path has.
    sys.meta_path.insert(0, RunClassFinder())
    for name in (TARGET, PACKAGE):
        if name in sys.modules:
            _patch(sys.modules[name])


def installed() -> bool:
    """Whether our finder is in place, even that of another copy of this package."""
    # By name, not by isinstance: an injected tree and the image's own installation are two
    # packages with two classes, and both would record each call.
    name = RunClassFinder.__name__
    return any(type(finder).__name__ == name for finder in sys.meta_path)


def _found_by_others(
    name: "str", path: "Sequence[str] | None", target: "ModuleType | None"
) -> "ModuleSpec | None":
    for finder in sys.meta_path:
        # Finders of the older protocol have no find_spec; the import system
        # will still ask them after we return None.
        if type(finder).__name__ != RunClassFinder.__name__ and hasattr(finder, "find_spec"):
            spec = finder.find_spec(name, path, target)
            if spec is not None:
                return spec
    return None


def _spec_of_step_fix(
    path: "Sequence[str] | None", target: "ModuleType | None"
) -> "ModuleSpec | None":
    """The user's own module of this name, or else ours, which need not be on sys.path."""
    spec = _found_by_others(STEP_FIX, path, target)
    if spec is None:
        # Only for scripts that import the module and do not have it: too dear for each start.
        from importlib.util import spec_from_file_location

        tree = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
        spec = spec_from_file_location(STEP_FIX, os.path.join(tree, STEP_FIX + ".py"))
    return spec


def _patch_after_exec(loader: "Any") -> None:
    # No exec_module: zipimport before Python 3.10. Such a wandb stays as it is.
    execute = getattr(loader, "exec_module", None)
    if execute is None or hasattr(execute, "primus_lens"):
        return

    def exec_module(module: "ModuleType") -> None:
        execute(module)
        # After it, never within: Run is defined by then. A zipimporter serves many modules, and
        # its instance is cached for the whole archive.
        if module.__name__ in (TARGET, PACKAGE):
            _patch(module)

    exec_module.primus_lens = True  # type: ignore[attr-defined]
    # On the instance, which keeps its type, get_source and resources: inspect, debuggers and
    # importlib.resources look at the loader, and a loader of ours would be strange to them.
    try:
        loader.exec_module = exec_module
    except AttributeError:  # a loader with slots: wandb stays as it is
        return


def _patch(module: "ModuleType") -> None:
    usual = sys.modules.get(TARGET)
    if module is not usual and "Run" in getattr(usual, "__dict__", ()):
        return
    try:
        from primus_lens_hook import patch

        patch.apply(module)
    except Exception as error:
        # A signal handler that raises meanwhile interrupts the user's import.
        if _is_interruption(error):
            raise


def _is_interruption(error: "Exception") -> bool:
    try:
        from primus_lens_hook.interruption import is_interruption
    except Exception:
        return False
    return is_interruption(error)
