# SPDX-License-Identifier: Apache-2.0
"""By which prefix wandb tells the tags of several log directories apart: `train/loss`, `val/loss`.

wandb-core and the Python service before it (up to 0.17) have rules of their own, and here are both.
"""

from __future__ import annotations

import os
import time
from typing import Dict, List, Tuple

from primus_lens_hook.interruption import is_interruption

INFER_SECONDS = 10.0  # for how long wandb-core waits for a second directory


class Directory:
    """A log directory that wandb reads for a run."""

    namespace = ""

    def key(self, tag: str) -> str:
        """The key of a tag in W&B."""
        return "%s/%s" % (self.namespace, tag) if self.namespace else tag


class OldDirectory(Directory):
    """One that the Python service reads."""

    def key(self, tag: str) -> str:
        """The key of a tag in W&B."""
        # For tensorboardX, which puts `add_scalars("loss", {"train": …})` below `loss/train`.
        return self.namespace if tag in self.namespace else super().key(tag)


class CoreNamespaces:
    """The rules of wandb-core, for the directories of one run."""

    def __init__(self) -> None:
        self._paths: List[str] = []
        self._first: Tuple[Directory, float] = (Directory(), 0.0)

    def add(self, logdir: str, root: str) -> Directory:
        """A directory that wandb reads from now on, below the root that the user has named."""
        path, directory = absolute(logdir), Directory()
        # The same path twice, too: two writers of one directory are two to wandb-core.
        self._paths.append(path)
        if root:
            directory.namespace = _below(absolute(root), path)
        elif len(self._paths) > 1:
            # Of the first two: a third one, elsewhere, changes nothing any more.
            common = _common(*self._paths[:2])
            directory.namespace = _below(common, path)
            self._name_first(common)
        else:
            self._first = directory, time.monotonic() + INFER_SECONDS
        return directory

    def _name_first(self, common: str) -> None:
        # The values that it has got in the meantime have their keys in the records already.
        directory, until = self._first
        if len(self._paths) == 2 and time.monotonic() < until:
            directory.namespace = _below(common, self._paths[0])


class OldNamespaces:
    """The rules of the Python service, for the directories of one run."""

    def __init__(self) -> None:
        self._directories: Dict[str, Directory] = {}

    def add(self, logdir: str, root: str) -> Directory:
        """A directory that wandb reads from now on, below the root that the user has named."""
        if logdir not in self._directories:
            paths = [*self._directories, logdir]
            # Of characters, as wandb has it.
            inferred = root or os.path.dirname(os.path.commonprefix(paths))  # noqa: RUF071
            # Each occurrence, as wandb has it: "l/val" below "l" is "va".
            namespace = logdir.replace(inferred, "").strip("/")
            # Of a single one its name would say nothing, but for names that Keras gives.
            if not root and len(paths) == 1 and namespace not in ("train", "validation"):
                namespace = ""
            self._directories[logdir] = directory = OldDirectory()
            directory.namespace = namespace
        return self._directories[logdir]


def absolute(path: str) -> str:
    """The path as wandb-core has it; a URL of a bucket stays."""
    try:
        return path if "://" in path else os.path.abspath(path)
    except OSError as error:  # the working directory is gone
        if is_interruption(error):
            raise
        return path


def _common(one: str, other: str) -> str:
    parts = []
    for part, its in zip(one.split("/"), other.split("/")):
        if part != its:
            break
        parts.append(part)
    return "/".join(parts)


def _below(root: str, path: str) -> str:
    # Of characters, not of parts: "logs" is a root of "logs2/a" to wandb-core.
    return path[len(root) :].strip("/") if path.startswith(root) else ""
