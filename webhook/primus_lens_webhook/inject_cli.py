# SPDX-License-Identifier: Apache-2.0
"""`primus-lens inject`: the webhook's own work on YAML files, for clusters without it.

It prints what it was given, with the hook in every pod, and explains on stderr what it leaves
alone. What the extra brings is imported where it is used: --help must work without it.
"""

from __future__ import annotations

import dataclasses
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from primus_lens_toolkit import flags
from primus_lens_toolkit.flags import flag

from primus_lens_webhook.decision import shown
from primus_lens_webhook.document import Malformed, Object, mapping, objects
from primus_lens_webhook.mutate import Mutation, mutate
from primus_lens_webhook.options import DEFAULT_IMAGE, ENV_PREFIX, Options
from primus_lens_webhook.templates import pods

PROGRAM = "primus-lens inject"
COMMAND = "command"  # the reason to inject a pod that has no label
DESCRIPTION = """\
Put the hook into the pods of YAML files, as the webhook does: Pods and whatever has a pod
template. Pods labelled primus-lens.io/wandb: disabled are left alone."""
UNPUBLISHED = f"no --inject.image: pods get {DEFAULT_IMAGE}, which no public registry has"
LONGEST_LINE = 1000  # on stderr, with names of the file in it
EPILOG = """\
example:
  primus-lens inject -f job.yaml --inject.image registry.example/primus-lens-wandb:0.1.0 \\
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
        metavar="FILE", environment=False,
    )  # fmt: skip


def main(arguments: Sequence[str]) -> int:
    """Returns 0 when done, a skip being no error; 1 for a file that is no good."""
    parser = flags.Parser(PROGRAM, DESCRIPTION, EPILOG)
    settings = flags.parse(Settings, parser, arguments, os.environ, ENV_PREFIX)
    if settings.inject_image == DEFAULT_IMAGE:
        print(f"{PROGRAM}: {UNPUBLISHED}", file=sys.stderr)
    separator = ""
    for name in settings.filename:
        try:
            texts = _injected(_read(name), settings)
        except (OSError, UnicodeDecodeError) as error:
            return _fail(f"{name}: {getattr(error, 'strerror', None) or error}")
        except (Malformed, RecursionError) as error:
            return _fail(f"{name}: no YAML: {error}")
        for text in texts:
            print(separator + text, end="")
            separator = "---\n"
    return 0


def _read(name: str) -> str:
    if name == "-":
        return sys.stdin.read()
    return Path(name).read_text(encoding="utf-8")


def _injected(text: str, settings: Options) -> list[str]:
    """The documents of a file with the hook in. Raises Malformed."""
    from primus_lens_webhook import yaml_files  # noqa: PLC0415

    documents = yaml_files.load(text)
    return [yaml_files.dump(_mutated(each, settings)) for each in documents]


def _mutated(document: Any, settings: Options) -> Any:
    import jsonpatch  # noqa: PLC0415

    found = list(pods(document))
    if not found:
        _tell(document, "", "left alone: no pod and no pod template in it")
    for path, pod, api_version in found:
        mutation = mutate(pod, settings, api_version, unlabelled=COMMAND)
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
