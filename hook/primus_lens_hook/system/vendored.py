# SPDX-License-Identifier: Apache-2.0
"""Where psutil and pynvml come from: the user's own, or else the copy beside this package.

The copy must never become importable by its own name, nor change sys.path. `load` must never
raise, nor print.
"""

# The copy is loaded under a name below this module's: whoever imports `psutil` later, to see
# whether it is there or which version it has, must not meet ours. To put its directory on
# sys.path for a moment would show it to all other threads.

from __future__ import annotations

import os
import sys
import warnings
from importlib.machinery import PathFinder
from importlib.util import module_from_spec, spec_from_file_location
from types import ModuleType
from typing import Optional

import primus_lens_hook


def load(name: str) -> Optional[ModuleType]:
    """The top-level package of this name: the user's, the vendored copy, or None."""
    return _of_user(name) or _vendored(name)


def _of_user(name: str) -> Optional[ModuleType]:
    try:
        if name not in sys.modules:
            # Some warn that they are deprecated when they are looked for (pynvml 13), of which
            # the user has asked nothing. This is for warnings about our own import alone:
            # catch_warnings would undo what other threads set meanwhile.
            warnings.filterwarnings("ignore", module=__name__.replace(".", r"\."))
        module = __import__(name)
    except Exception:  # missing, or broken
        return None
    # A mere directory of that name in the working directory has no file.
    return module if getattr(module, "__file__", None) else None


def _vendored(name: str) -> Optional[ModuleType]:
    alias = "%s.%s" % (__name__, name)
    if alias in sys.modules:
        return sys.modules[alias]
    package = os.path.dirname(os.path.abspath(primus_lens_hook.__file__))
    try:
        found = PathFinder.find_spec(name, [os.path.join(os.path.dirname(package), "private")])
        assert found is not None
        assert found.origin is not None
        parts = found.submodule_search_locations
        spec = spec_from_file_location(alias, found.origin, submodule_search_locations=parts)
        assert spec is not None
        assert spec.loader is not None
        module = sys.modules[alias] = module_from_spec(spec)  # its parts look for it there
        spec.loader.exec_module(module)
        _set_procfs_path(module)
        return module
    except Exception:  # none here, or none for this machine
        sys.modules.pop(alias, None)
        return None


def _set_procfs_path(module: ModuleType) -> None:
    """For psutil, which asks sys.modules for itself: there it is not, or is the user's."""
    for part in ("_common", "_pslinux"):
        loaded = sys.modules.get("%s.%s" % (module.__name__, part))
        if hasattr(loaded, "get_procfs_path"):
            vars(loaded)["get_procfs_path"] = lambda: module.PROCFS_PATH
