# SPDX-License-Identifier: Apache-2.0
"""Wandbs of the future: the newest wandb with one thing changed, as it is imported.

In the training process (`install`) a finder before the path's own changes the source of wandb's
modules. What wandb itself needs is changed everywhere, so that it still works.
"""

import importlib.machinery
import importlib.util
import re
import sys
from pathlib import Path
from typing import NamedTuple

RUN = "wandb.sdk.wandb_run"


class Future(NamedTuple):
    """One change; `declined` is what the hook has to leave alone because of it."""

    declined: tuple = ()
    renamed: str = ""
    """A word that is another one everywhere in wandb and in the program."""
    edits: tuple = ()
    """(module, text or pattern, replacement): each must be found."""
    appended: str = ""
    """Code at the end of wandb_run.py."""
    accepts: bool = False
    """Whether it takes the keyword that today's wandb refuses."""
    shim: str = ""
    """Code of the module that had the class, where that is another now."""
    program: tuple = ()
    """(pattern, replacement) of the program that trains."""

    def changed(self, module, source):
        if self.renamed and not module.startswith("wandb.proto"):
            source = re.sub(rf"\b{self.renamed}\b", self.renamed + "_2", source)
        for where, old, new in self.edits:
            if where == module:
                source, found = re.subn(old, new, source)
                assert found, (module, old)
        return source + (self.appended if module == RUN else "")


class Finder:
    """Finds wandb's modules where they are, and changes those that the future changes."""

    def __init__(self, future):
        self.future = future

    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] != "wandb":
            return None
        if name == RUN and self.future.renamed == "wandb_run" and not self.future.shim:
            raise ModuleNotFoundError(name)
        # A renamed module is the file of its old name.
        spec = importlib.machinery.PathFinder.find_spec(name.replace("_2", ""), path, target)
        if spec is None or not (spec.origin or "").endswith(".py"):
            return None
        source = Path(spec.origin).read_text()
        changed = self.future.changed(name, source)
        if name == RUN and self.future.shim:
            changed = self.future.shim
        if changed == source and spec.name == name:
            return None
        loader = Changed(name, spec.origin)
        loader.source = changed
        return importlib.util.spec_from_file_location(
            name, spec.origin, loader=loader,
            submodule_search_locations=spec.submodule_search_locations,
        )  # fmt: skip


class Changed(importlib.machinery.SourceFileLoader):
    """Loads the changed source."""

    def get_code(self, _name):
        return compile(self.source, self.path, "exec", dont_inherit=True)


def install(future):
    """Let this process import that wandb; before the import, with or without the hook."""
    # Behind the hook's finder, where that is: it looks for wandb through those behind it.
    place = sys.meta_path.index(importlib.machinery.PathFinder)
    sys.meta_path.insert(place, Finder(future))
