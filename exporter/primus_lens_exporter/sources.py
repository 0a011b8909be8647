# SPDX-License-Identifier: Apache-2.0
"""Where rank directories are found, and which labels each of them gives its series.

The identity comes from the place, never from what a file says of itself. A source only
lists; it opens no file.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from primus_lens_hook import contract

from primus_lens_exporter.listing import Listing
from primus_lens_exporter.refusals import Refusals
from primus_lens_exporter.store import Labels

NODE = re.compile(contract.NODE_DIRECTORY.format(r"(\d{1,9})"))
RANK = re.compile(contract.RANK_DIRECTORY.format(r"(\d{1,9})"))


class RankDirectory(NamedTuple):
    """A directory in which one rank writes, and the labels its series get."""

    path: str
    labels: Labels


class DirectorySource:
    """The output path of a training: `node_{n}/rank_{l}/` below one directory."""

    def __init__(self, root: Path, refusals: Refusals) -> None:
        self._refusals = refusals
        self._nodes = Numbered(str(root.resolve()), NODE, refusals)
        self._ranks: dict[str, Numbered] = {}

    def list(self) -> Iterator[RankDirectory]:
        """All rank directories there are now; one that cannot be listed has none."""
        nodes = self._nodes.list()
        for path in self._ranks.keys() - nodes.keys():
            del self._ranks[path]
        for node_path, node in nodes.items():
            if node_path not in self._ranks:
                self._ranks[node_path] = Numbered(node_path, RANK, self._refusals)
            for path, rank in self._ranks[node_path].list().items():
                yield RankDirectory(path, (("node_rank", node), ("local_rank", rank)))


class Numbered:
    """The real subdirectories (no links) of one directory whose whole name fits a pattern."""

    def __init__(self, path: str, pattern: re.Pattern[str], refusals: Refusals) -> None:
        self._refusals = refusals
        self._listing = Listing(path)
        self._pattern = pattern
        self._known: dict[str, str] = {}

    def list(self) -> dict[str, str]:
        """Their numbers by path; none while the directory cannot be listed."""
        try:
            entries = self._listing.changed()
        except OSError as error:
            self._refusals.note(self._listing.path, error)
            self._known = {}
            return self._known
        self._refusals.lift(self._listing.path)
        if entries is not None:
            matches = ((entry, self._pattern.fullmatch(entry.name)) for entry in entries)
            self._known = {
                entry.path: str(int(match[1]))
                for entry, match in matches
                if match and entry.is_dir(follow_symlinks=False)
            }
        return self._known
