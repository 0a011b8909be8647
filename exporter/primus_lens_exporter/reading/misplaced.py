# SPDX-License-Identifier: Apache-2.0
"""Whether a directory that the operator named is a level off from where records lie.

Such an exporter would serve an empty page without a word. Only names are looked at, and not
many; that there is nothing at all yet is no fault.
"""

from __future__ import annotations

import os
import re
from itertools import islice

from primus_lens_exporter.reading.layout import FILE, NODE, POD_UID, RANK

LOOKED_AT = 1_000  # names in one directory


def records_path(path: str) -> str | None:
    """What is wrong with a `--records.path`, and what to name; None if nothing is."""
    here = os.path.realpath(path)
    if _holds(here, NODE):
        return None
    if _holds(here, RANK):
        return f"it is the directory of one node; name {os.path.dirname(here)}"
    if _holds(here, FILE):
        return f"it is the directory of one rank; name {os.path.dirname(os.path.dirname(here))}"
    if below := _below(here, NODE):
        return f"the node_* directories are one level lower; name {below}"
    return None


def kubelet_root(path: str) -> str | None:
    """The same of a `--records.kubelet-root`."""
    here = os.path.realpath(path)
    if os.path.isdir(f"{here}/pods") or not _holds(here, POD_UID):
        return None
    return f"it is the kubelet's directory of pods; name {os.path.dirname(here)}"


def shared_path(path: str) -> str | None:
    """The same of a `--records.shared-path`."""
    here = os.path.realpath(path)
    if _holds(here, NODE):
        return "it holds node_* directories, and no pods'; give it as --records.path"
    if _holds(here, POD_UID):
        return f"it is the directory of one pod; name {os.path.dirname(os.path.dirname(here))}"
    if _below(here, POD_UID):
        return f"it is the directory of one namespace; name {os.path.dirname(here)}"
    return None


def _names(path: str) -> list[str]:
    try:
        with os.scandir(path) as entries:
            return [entry.name for entry in islice(entries, LOOKED_AT)]
    except OSError:
        return []


def _holds(path: str, wanted: re.Pattern[str]) -> bool:
    return any(map(wanted.fullmatch, _names(path)))


def _below(path: str, wanted: re.Pattern[str]) -> str | None:
    """A directory in this one that holds what is wanted."""
    subdirectories = (f"{path}/{name}" for name in _names(path))
    return next((each for each in subdirectories if _holds(each, wanted)), None)
