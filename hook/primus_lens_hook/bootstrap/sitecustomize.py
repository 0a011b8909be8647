# SPDX-License-Identifier: Apache-2.0
"""Loads the hook where only PYTHONPATH can be set, then runs the sitecustomize it hides.

`primus-lens run` and the webhook put this folder first on PYTHONPATH. It must never hide a
user's own sitecustomize, nor swallow what that one raises: site reports it, as it always did.
"""

# PYTHONPATH holds for every interpreter of the pod. Python 2.7 and 3.6 execute this file too: it
# has to parse there (no annotations, no f-strings), and declines.

# mypy: ignore-errors
import os
import sys


def _start_hook(here):
    # The package is imported by its place, and the place leaves sys.path again:
    # nothing else that lies beside it becomes importable.
    tree = os.path.dirname(os.path.dirname(here))
    sys.path.insert(0, tree)
    try:
        from primus_lens_hook import boot
    finally:
        sys.path.remove(tree)
    boot.start()


def _run_hidden_sitecustomize(here):
    # Python imports one sitecustomize, the first on the path. If another tool's comes first and
    # does not chain as this one does (OpenTelemetry's), ours never runs: ours has to be first.
    everything = list(sys.path)
    ours = sys.modules.pop("sitecustomize", None)
    sys.path[:] = [entry for entry in sys.path if os.path.abspath(entry) != here]
    try:
        import sitecustomize  # noqa: F401  the next one on the path
    except ImportError as error:
        # An import that fails within the user's file is an error; only "there is none" is not.
        # Python 2.7 has no name in it.
        if getattr(error, "name", "sitecustomize") != "sitecustomize":
            raise
        if ours is not None:
            sys.modules["sitecustomize"] = ours
    finally:
        # Keep what the hidden one did to the path, and put our folder back:
        # a child process inherits it through PYTHONPATH, and they should agree.
        for position, entry in enumerate(everything):
            if os.path.abspath(entry) == here:
                sys.path.insert(position, entry)


_HERE = os.path.dirname(os.path.abspath(__file__))
if sys.version_info >= (3, 7):
    try:
        _start_hook(_HERE)
    except Exception:
        pass
_run_hidden_sitecustomize(_HERE)
