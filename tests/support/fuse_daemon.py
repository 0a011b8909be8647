# SPDX-License-Identifier: Apache-2.0
"""`python -m support.fuse_daemon SOURCE MOUNT FAULTS`: serves a directory as a file system.

FAULTS is a JSON file that names the error of an operation and how often it comes,
{"write": ["EDQUOT", 3]}. It is read for each operation.
"""

import ctypes
import errno
import fcntl
import json
import os
import sys

import mfusepy

FAILING = "open", "create", "mkdir", "read", "write", "flush", "flock", "getattr", "rename"
ctypes.CDLL("libgcc_s.so.1")  # libfuse loads it where it ends, in the source's own root


class Passthrough(mfusepy.Operations):
    """The files of `source`, as root."""

    use_ns = True

    def __init__(self, source, faults):
        self._source = source
        self._faults = open(faults)  # noqa: SIM115 as long as the daemon lives
        self._told = ""
        self._left = {}

    def __getattribute__(self, name):
        operation = super().__getattribute__(name)
        return self._failing(name, operation) if name in FAILING else operation

    def _failing(self, name, operation):
        def call(*args):
            told = os.pread(self._faults.fileno(), 1000, 0).decode()
            if told != self._told:
                self._told, self._left = told, json.loads(told)
            error, times = self._left.get(name, ("", 0))
            if not times:
                return operation(*args)
            self._left[name] = error, times - 1
            raise mfusepy.FuseOSError(getattr(errno, error))

        return call

    def init(self, _path):
        os.chroot(self._source)  # the paths that the kernel asks for are those of the source

    def getattr(self, path, _fh=None):
        status = os.lstat(path)
        names = ("st_mode", "st_nlink", "st_size", "st_uid", "st_gid", "st_ino")
        times = {f"st_{x}time": getattr(status, f"st_{x}time_ns") for x in "amc"}
        return {**{name: getattr(status, name) for name in names}, **times}

    def readdir(self, path, _fh):
        return [".", "..", *os.listdir(path)]

    def mkdir(self, path, mode):
        os.mkdir(path, mode)

    def unlink(self, path):
        os.unlink(path)

    def rename(self, old, new):
        os.rename(old, new)

    def create(self, path, mode, _info=None):
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, mode)

    def open(self, path, flags):
        return os.open(path, flags & ~os.O_APPEND)

    def read(self, _path, size, offset, fh):
        return os.pread(fh, size, offset)

    def write(self, _path, data, offset, fh):
        return os.pwrite(fh, data, offset)

    def truncate(self, path, length, _fh=None):
        os.truncate(path, length)

    def flush(self, _path, _fh):
        return 0  # without it the kernel would not ask, and no close could hang

    def release(self, _path, fh):
        os.close(fh)

    def flock(self, _path, fh, operation):
        fcntl.flock(fh, operation)


if __name__ == "__main__":
    source, mount, faults = sys.argv[1:]
    # Attributes are asked for anew each time: a test looks at them right after a change.
    options = {"foreground": True, "attr_timeout": 0, "entry_timeout": 0, "hard_remove": True}
    mfusepy.FUSE(Passthrough(source, faults), mount, **options)
