# SPDX-License-Identifier: Apache-2.0
"""A file system that hangs or fails as a test says."""

import json
import os
import signal
import subprocess
import sys
import time
from ctypes.util import find_library

import pytest

from support.repository import ROOT


def why_not():
    """What is missing on this machine, or None."""
    if not os.access("/dev/fuse", os.W_OK):
        return "no /dev/fuse that this user may open"
    if not (find_library("fuse3") or find_library("fuse")):
        return "libfuse is not installed: apt-get install fuse3"
    return None


class FaultyMount:
    """The mount point `path` over the directory `source`; see `fuse_daemon` for the faults."""

    def __init__(self, path, source):
        self.path, self.source = path, source
        self._faults = source.with_name("faults.json")

    def __enter__(self):
        if why_not():
            pytest.skip(why_not())
        self.path.mkdir(exist_ok=True)
        self.source.mkdir()
        self.source.chmod(0o777)
        self._faults.touch()
        self.fail()
        command = [sys.executable, "-m", "support.fuse_daemon"]
        command += [self.source, self.path, self._faults]
        self._daemon = subprocess.Popen(
            command,
            cwd=ROOT / "tests",
            stderr=subprocess.PIPE,
            start_new_session=True,  # Ctrl-C is for the command that has started it
        )
        self.pid = self._daemon.pid
        while not os.path.ismount(self.path):
            assert self._daemon.poll() is None, self._daemon.communicate()[1].decode()
            time.sleep(0.01)
        return self

    def __exit__(self, *_):
        # First: whatever still waits for an answer gets an error then.
        self._daemon.kill()
        self._daemon.communicate()
        subprocess.run(["umount", "--lazy", self.path], check=True)

    def fail(self, **faults):
        """From now on operations have errors, each so often: `write=("EDQUOT", 3)`."""
        # Padded, in place: the daemon has the file open.
        with self._faults.open("r+") as file:
            file.write(json.dumps(faults).ljust(200))

    def freeze(self):
        """Answer nothing until `thaw`."""
        self._daemon.send_signal(signal.SIGSTOP)

    def thaw(self):
        """Answer everything that waits."""
        self._daemon.send_signal(signal.SIGCONT)
