# SPDX-License-Identifier: Apache-2.0
"""The names of wandb that occur in the hook's source: attributes, and texts that may name one."""

import ast
import importlib.util
from pathlib import Path

from support.repository import ROOT

# Where wandb has what the hook uses.
FILES = (
    "__init__.py",
    "proto/wandb_internal_pb2.py",
    "sdk/data_types/utils.py",
    "sdk/interface/summary_record.py",
    "sdk/lib/module.py",
    "sdk/wandb_run.py",
    "sdk/wandb_settings.py",
    "sdk/wandb_summary.py",
    "util.py",
)
# What the machine and TensorBoard's packages have is no name of wandb's.
OF_OTHERS = {"system", "writers.py", "events.py", "namespaces.py"}


def used_names():
    """Those that the newest wandb has, and that the hook uses and does not have itself."""
    paths = (ROOT / "hook" / "primus_lens_hook").rglob("*.py")
    nodes = [n for path in paths if not OF_OTHERS & {*path.parts} for n in nodes_of(path)]
    texts = {n.value for n in nodes if isinstance(n, ast.Constant) and isinstance(n.value, str)}
    read = {n.attr for n in nodes if isinstance(n, ast.Attribute) and isinstance(n.ctx, ast.Load)}
    wandb = Path(importlib.util.find_spec("wandb").origin).parent
    theirs = {name for file in FILES for name in defined(nodes_of(wandb / file))}
    return theirs & (texts | (read - set(defined(nodes))))


def nodes_of(path):
    return list(ast.walk(ast.parse(path.read_text())))


def defined(nodes):
    """The names of classes, their members, and all that is stored in an attribute."""
    for node in nodes:
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield node.attr
        if isinstance(node, (ast.ClassDef, ast.Module)):
            yield from (name for each in node.body for name in names_of(each))


def names_of(statement):
    if isinstance(statement, (ast.ClassDef, ast.FunctionDef)):
        yield statement.name
    targets = getattr(statement, "targets", [getattr(statement, "target", None)])
    yield from (target.id for target in targets if isinstance(target, ast.Name))
