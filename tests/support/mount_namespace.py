# SPDX-License-Identifier: Apache-2.0
"""A mount namespace of its own for a command: what it mounts is gone when it ends."""

import functools
import os
import shutil
import subprocess
import sys

ENTERED = "TESTS_MOUNT_NAMESPACE"


@functools.cache
def can_mount():
    """Whether this user may make one."""
    unshare = shutil.which("unshare")
    return bool(unshare) and subprocess.run([unshare, "--mount", "true"]).returncode == 0


def enter(module):
    """Run `python -m module` again within one, if it may be made and it is not there yet."""
    if can_mount() and ENTERED not in os.environ:
        os.environ[ENTERED] = "1"
        ours = [sys.executable, "-m", module, *sys.argv[1:]]
        os.execvp("unshare", ["unshare", "--mount", "--propagation", "private", *ours])
