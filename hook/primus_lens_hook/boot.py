# SPDX-License-Identifier: Apache-2.0
"""Where every interpreter start enters: the `.pth`, the `.start` file, sitecustomize.

It decides in well under a millisecond whether to watch for `wandb`. It must never
raise, print, or import anything but `sys`, `os` and the two modules beside it.
"""

import os
import sys

from primus_lens_hook import contract


def start() -> None:
    """Watch for the import of wandb, unless `PRIMUS_LENS_WANDB_HOOK` says no.

    Idempotent: site runs a `.pth` twice in a virtual environment, and an injected
    hook may meet one that was installed in the image.
    """
    try:
        if sys.version_info >= (3, 7) and switched_on():
            from primus_lens_hook import imports

            imports.install()
    except Exception:  # the first law: no fault of ours reaches the program
        return


def switched_on() -> bool:
    """Whether the environment leaves the hook on (the default)."""
    return os.environ.get(contract.ENV_HOOK, "").strip().lower() not in contract.FALSE_WORDS
