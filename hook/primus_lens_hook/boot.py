# SPDX-License-Identifier: Apache-2.0
"""Where every interpreter start enters: the `.pth`, the `.start` file, sitecustomize.

It decides in a fraction of a millisecond whether to watch for wandb's `Run` class, and
has it patched when it has been defined. It must never raise, print, or import anything
but `sys` and `os`: each file that a start reads costs 0.4 M instructions, so this is one.

The watch is a meta path finder (PEP 451) that stands first, looks at one module name, lets
the other finders find it, and wraps `exec_module` on the loader *instance* it gets back.
The loader keeps its type, its `get_source` and its resources, so that `inspect`,
`importlib.resources` and debuggers see what they would see without us.

Nothing is used up: a probe by `importlib.util.find_spec`, a reload, and a delete
followed by a new import all pass through here again.
"""

import os
import sys

from primus_lens_hook import ENV_HOOK, FALSE_WORDS

TYPE_CHECKING = False  # typing costs milliseconds at every start; checkers know this name
if TYPE_CHECKING:
    from collections.abc import Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType
    from typing import Any

TARGET = "wandb.sdk.wandb_run"
STEP_FIX = "wandb_step_fix"


def start() -> None:
    """Watch for the import of wandb, unless `PRIMUS_LENS_WANDB_HOOK` says no.

    Idempotent: site runs a `.pth` twice in a virtual environment, and an injected
    hook may meet one that was installed in the image.
    """
    try:
        if sys.version_info >= (3, 7) and switched_on():
            install()
    except Exception:  # the first law: no fault of ours reaches the program
        return


def switched_on() -> bool:
    """Whether the environment leaves the hook on (the default)."""
    return os.environ.get(ENV_HOOK, "").strip().lower() not in FALSE_WORDS


class RunClassFinder:
    """Finds `wandb.sdk.wandb_run` through the finders behind it, and has it patched."""

    def find_spec(
        self,
        name: "str",
        path: "Sequence[str] | None" = None,
        target: "ModuleType | None" = None,
    ) -> "ModuleSpec | None":
        if name == STEP_FIX:
            return _spec_of_step_fix(path, target)
        if name != TARGET:
            return None
        spec = _found_by_others(name, path, target)
        if spec is not None:
            _patch_after_exec(spec.loader)
        return spec


def install() -> None:
    """Put the finder first on `sys.meta_path`; patch at once if wandb is loaded."""
    if installed():
        return
    sys.meta_path.insert(0, RunClassFinder())
    loaded = sys.modules.get(TARGET)
    if loaded is not None:
        _patch(loaded)


def installed() -> bool:
    """Whether a finder of ours is in place, even one of another copy of this package."""
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
        from importlib.util import spec_from_file_location

        tree = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
        spec = spec_from_file_location(STEP_FIX, os.path.join(tree, STEP_FIX + ".py"))
    return spec


def _patch_after_exec(loader: "Any") -> None:
    execute = getattr(loader, "exec_module", None)
    if execute is None or hasattr(execute, "primus_lens"):
        return

    def exec_module(module: "ModuleType") -> None:
        execute(module)
        if module.__name__ == TARGET:  # a zipimporter serves many modules
            _patch(module)

    exec_module.primus_lens = True  # type: ignore[attr-defined]
    try:
        loader.exec_module = exec_module
    except AttributeError:  # a loader with slots: wandb stays as it is
        return


def _patch(module: "ModuleType") -> None:
    try:
        from primus_lens_hook import patch

        patch.apply(module)
    except Exception:
        return
