# SPDX-License-Identifier: Apache-2.0
"""`primus-lens inject`: the webhook's own work on YAML files, for clusters without it.

It prints what it was given, with the hook in every pod; comments, order and unknown fields
stay. What it leaves alone it explains on stderr.
"""

from __future__ import annotations

import dataclasses
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jsonpatch
from primus_lens_toolkit import flags
from primus_lens_toolkit.flags import flag
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError
from ruamel.yaml.tokens import AliasToken

from primus_lens_webhook.decision import shown
from primus_lens_webhook.document import Object, mapping, objects
from primus_lens_webhook.mutate import Mutation, mutate
from primus_lens_webhook.options import ENV_PREFIX, Options
from primus_lens_webhook.templates import pods

PROGRAM = "primus-lens inject"
DESCRIPTION = """\
Put the hook into the pods of YAML files, as the webhook does: Pods and whatever has a pod
template. Pods labelled primus-lens.io/wandb: disabled are left alone."""
LONGEST_LINE = 1000  # on stderr, with names of the file in it
EPILOG = """\
example:
  primus-lens inject -f job.yaml --inject.image registry.example/primus-lens-wandb:1.0 \\
    | kubectl apply -f -"""


SECRETS = (
    "imagePullSecrets are added where there were none: those of the service account are not used "
    "any more; if its pods need them, list them too"
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Settings(Options):
    """What is injected, and into what."""

    filename: tuple[str, ...] = flag(
        "-f", "a YAML or JSON file, - for standard input; repeatable", repeatable=True,
        metavar="FILE",
    )  # fmt: skip


def main(arguments: Sequence[str]) -> int:
    """Returns 0 when done, a skip being no error; 1 for a file that is no good."""
    parser = flags.Parser(PROGRAM, DESCRIPTION, EPILOG)
    settings = flags.parse(Settings, parser, arguments, os.environ, ENV_PREFIX)
    first = True
    for name in settings.filename:
        try:
            text = _read(name)
            documents = _load(text)
            for document in documents:
                if not first:
                    print("---")
                first = False
                _yaml().dump(_mutated(document, settings), sys.stdout)
        except (OSError, UnicodeDecodeError) as error:
            return _fail(f"{name}: {getattr(error, 'strerror', None) or error}")
        except (YAMLError, RecursionError) as error:
            return _fail(f"{name}: no YAML: {' '.join(str(error).split())}")
    return 0


def _read(name: str) -> str:
    if name == "-":
        return sys.stdin.read()
    return Path(name).read_text(encoding="utf-8")


def _load(text: str) -> list[Any]:
    """The documents but empty ones. Raises YAMLError.

    Where anchors are used, parts are shared, and what is done to one pod would be done to
    another: then the shared parts are written out, and comments are lost.
    """
    shared = any(isinstance(token, AliasToken) for token in YAML().scan(text))
    loader = YAML(typ="safe", pure=True) if shared else _yaml()
    documents = [each for each in loader.load_all(text) if each is not None]
    return [_plain(each) for each in documents] if shared else documents


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(below) for key, below in value.items()}
    return [_plain(below) for below in value] if isinstance(value, list) else value


def _yaml() -> YAML:
    yaml = YAML()
    yaml.preserve_quotes = True
    yaml.width = 1 << 20
    yaml.indent(mapping=2, sequence=2, offset=0)
    return yaml


def _mutated(document: Any, settings: Options) -> Any:
    found = list(pods(document))
    if not found:
        _tell(document, "", "left alone: no pod and no pod template in it")
    for path, pod, api_version in found:
        mutation = mutate(pod, settings, api_version)
        warnings = [*mutation.decision.warnings, *_of_secrets(pod, mutation)]
        placed = [{**each, "path": path + each["path"]} for each in mutation.operations]
        jsonpatch.JsonPatch(placed).apply(document, in_place=True)
        made = mutation.decision
        if made.decision != "injected":
            detail = f" ({made.detail})" if made.detail else ""
            _tell(document, path, f"skipped: {made.reason}{detail}")
        for each in warnings:
            _tell(document, path, f"warning: {each}")
    return document


def _of_secrets(pod: Object, mutation: Mutation) -> list[str]:
    """For templates alone: a webhook sees pods when their service account has been asked."""
    added = any(each["path"].startswith("/spec/imagePullSecrets") for each in mutation.operations)
    return [SECRETS] if added and not objects(mapping(pod, "spec"), "imagePullSecrets") else []


def _tell(document: Any, path: str, text: str) -> None:
    line = f"{PROGRAM}: {_name(document)}{' ' + path if path else ''}: {text}"
    print(shown(line, LONGEST_LINE), file=sys.stderr)


def _name(document: Object | Any) -> str:
    if not isinstance(document, dict):
        return "document"
    metadata = document.get("metadata")
    name = metadata.get("name", "") if isinstance(metadata, dict) else ""
    return f"{document.get('kind', 'object')}/{name}"


def _fail(text: str) -> int:
    print(f"{PROGRAM}: {text}", file=sys.stderr)
    return 1
