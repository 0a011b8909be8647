# SPDX-License-Identifier: Apache-2.0
"""The tree that lands in pods, and `primus-lens hook install --to DIR`, which puts it there.

An init container runs that with a read-only root, as any user, on an empty volume; it may be
killed at any point and started again. Nothing shows under its final name before all of it is on
disk: the tree lies in a directory of its own, `current` points to it, and the names that pods
know are links through `current`, so that one rename replaces a version by another.
It must never change owners, and needs no program beside this one.
"""

from __future__ import annotations

import compileall
import contextlib
import errno
import fcntl
import os
import py_compile
import shutil
import subprocess
import tempfile
from typing import Iterator

import primus_lens_hook
from primus_lens_hook import contract

# Where the image has it, for all interpreters and with the exec wrapper.
PREBUILT = "/usr/share/primus-lens/payload"
CURRENT = "current"
PREFIX = ".tree-"
WRAPPER = os.path.join("bin", "exec")
# What the commands of pods start through: the wrapper, where it is seen to run, or else a program
# of the pod's own image that starts a command just the same. A pod whose disk is full or mounted
# noexec must start too. It bears that program's name: BusyBox and others go by argv[0].
ENTRY = os.path.basename(contract.EXEC)
WITHOUT_HOOK = "/usr/bin/env"
USAGE = 125  # the status of the wrapper when it is given no command
# Whatever the umask: the pod's containers may run as anyone.
FILE, PROGRAM, WRITABLE = 0o444, 0o555, 0o755
# For site-packages that the package is not in: one line, silent where the mount is missing. No
# `.start` stands beside it: Python 3.15 would prefer that, which cannot name a package off the
# path and is not silent.
PTH = (
    'import sys; exec("sys.path.insert(0, %r)\\ntry:\\n from primus_lens_hook.boot import start'
    '\\n start()\\nexcept Exception: pass\\nfinally: sys.path.remove(%r)")\n'
)


def reserve(to: str) -> None:
    """Have commands start through `to`, whatever becomes of the installation. Raises OSError.

    On a full disk a directory can still take a name, and a short link needs no block.
    """
    os.makedirs(to, exist_ok=True)
    entry = os.path.join(to, ENTRY)
    with _locked(to):
        if not os.path.lexists(entry):
            _link(WITHOUT_HOOK, entry)


def install(source: str, to: str) -> bool:
    """Make `to` hold the tree of `source`, at once; raises OSError and leaves what was there.

    Returns whether commands start with the hook, which a tree without a wrapper does not promise.
    """
    entry = os.path.join(source, "primus_lens_hook", "bootstrap", "sitecustomize.py")
    if not os.path.exists(entry):
        raise FileNotFoundError(errno.ENOENT, "holds no hook", source)
    os.makedirs(to, exist_ok=True)
    with _locked(to):
        _tidy(to)  # what a killed one left would fill the volume
        tree = tempfile.mkdtemp(prefix=PREFIX, dir=to)
        try:
            _copy(source, tree)
            wrapper, entry = os.path.join(tree, WRAPPER), os.path.join(to, ENTRY)
            runs = _runs(wrapper)
            if not runs:
                _link(WITHOUT_HOOK, entry)
            for name in os.listdir(tree):
                _link(os.path.join(CURRENT, name), os.path.join(to, name))
            _link(os.path.basename(tree), os.path.join(to, CURRENT))
            if runs:
                _link(os.path.join(CURRENT, WRAPPER), entry)
            return runs or not os.path.exists(wrapper)
        finally:
            _tidy(to)


def prepare(tree: str, at: str) -> None:
    """Make the tree that the installed package can make: for this Python, no exec wrapper."""
    assemble(tree, at)
    precompile(tree, at)


def assemble(tree: str, at: str) -> None:
    """Make the tree of the installed package, as it will lie in `at`; no exec wrapper or extras."""
    package = os.path.dirname(os.path.abspath(primus_lens_hook.__file__))
    target = os.path.join(tree, "primus_lens_hook")
    shutil.copytree(package, target, ignore=shutil.ignore_patterns("__pycache__"))
    step_fix = os.path.join(os.path.dirname(package), "wandb_step_fix.py")
    shutil.copyfile(step_fix, os.path.join(tree, "wandb_step_fix.py"))
    os.mkdir(os.path.join(tree, "pth"))
    with open(os.path.join(tree, "pth", "primus_lens_hook.pth"), "w") as file:
        file.write(PTH % (at, at))


def precompile(tree: str, at: str) -> None:
    """Add the byte code of this Python, which none that reads it will ever check or rewrite."""
    unchecked = py_compile.PycInvalidationMode.UNCHECKED_HASH
    # The path in it is the final one: another would be corrected at every start.
    compileall.compile_dir(tree, ddir=at, quiet=1, invalidation_mode=unchecked)


@contextlib.contextmanager
def _locked(directory: str) -> Iterator[None]:
    """Hold other installations into this directory off; where it cannot be locked, do not."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _copy(source: str, tree: str) -> None:
    for directory, _, names in os.walk(source, onerror=_fail):
        target = os.path.join(tree, os.path.relpath(directory, source))
        os.makedirs(target, exist_ok=True)
        for name in names:
            original, copy = os.path.join(directory, name), os.path.join(target, name)
            shutil.copyfile(original, copy)
            os.chmod(copy, PROGRAM if os.stat(original).st_mode & 0o111 else FILE)
    for directory, _, _ in os.walk(tree, onerror=_fail):
        os.chmod(directory, PROGRAM)


def _runs(wrapper: str) -> bool:
    """Tried, since what forbids it may be a mount option, a policy of the node or its processor."""
    try:
        return subprocess.call([wrapper], stderr=subprocess.DEVNULL) == USAGE
    except OSError:
        return False


def _fail(error: OSError) -> None:
    raise error


def _link(target: str, name: str) -> None:
    """Point a name to a target at once, whatever it pointed to."""
    temporary = os.path.join(os.path.dirname(name), PREFIX + "link")
    with contextlib.suppress(FileNotFoundError):
        os.unlink(temporary)
    os.symlink(target, temporary)
    os.replace(temporary, name)


def _tidy(to: str) -> None:
    """Remove trees that `current` does not point to, and names of ours that lead nowhere."""
    current = os.path.join(to, CURRENT)
    kept = os.readlink(current) if os.path.islink(current) else None
    names = os.listdir(to)
    for name in names:
        if name.startswith(PREFIX) and name != kept:
            _remove(os.path.join(to, name))
    for name in names:
        path = os.path.join(to, name)
        ours = os.path.islink(path) and os.readlink(path) == os.path.join(CURRENT, name)
        if ours and not os.path.exists(path):
            os.unlink(path)


def _remove(tree: str) -> None:
    """As far as it can be: what another user has left may stay."""
    if os.path.islink(tree):  # perhaps laid there to have us change what it points to
        os.unlink(tree)
        return
    for directory, _, _ in os.walk(tree):
        with contextlib.suppress(OSError):
            os.chmod(directory, WRITABLE)
    shutil.rmtree(tree, ignore_errors=True)
