# SPDX-License-Identifier: Apache-2.0
"""Finds the subcommand and hands it the rest of the arguments."""

from __future__ import annotations

import importlib
import os
import platform
import sys
from typing import List, NamedTuple, Optional

from primus_lens_hook import __version__

USAGE = "usage: primus-lens [--help] [--version] COMMAND …"
HELP = """%s

Training metrics from unmodified wandb scripts in Prometheus.

commands:
%s

`primus-lens COMMAND --help` explains each of them."""

WITHOUT_EXTRA = """\
usage: primus-lens %s …

%s. It needs the packages of the extra `%s`, which are not installed here.
In the directory of this project's sources:
  %s
Then --help lists its flags."""


class Command(NamedTuple):
    """A subcommand; its module has `main(arguments) -> exit status`."""

    module: str
    extra: Optional[str]
    """The extra that brings what it imports; None: nothing beyond Python."""
    help: str


COMMANDS = {
    "hook": Command("primus_lens_cli.hook", None, "check, install or remove the start-up hook"),
    "run": Command("primus_lens_cli.run", None, "run one command with the hook loaded"),
    "exporter": Command("primus_lens_exporter.cli", "exporter", "serve the metrics to Prometheus"),
    "top": Command("primus_lens_exporter.top.cli", "exporter", "watch the runs in a terminal"),
    "webhook": Command("primus_lens_webhook.cli", "webhook", "put the hook into labelled pods"),
    "inject": Command("primus_lens_webhook.inject_cli", "webhook", "the same for YAML files"),
    "backfill": Command(
        "primus_lens_exporter.backfill.cli", "exporter", "turn old records into a TSDB import"
    ),
    "demo": Command("primus_lens_demo.cli", "demo", "train on four ranks and watch the series"),
}


def main(arguments: Optional[List[str]] = None) -> int:
    """Run one subcommand; returns its exit status, 2 for a command there is not.

    Where whoever reads the output leaves early, as `head` does, it is 1 and nothing is said.
    """
    try:
        try:
            return _command(sys.argv[1:] if arguments is None else arguments)
        finally:
            if sys.stdout is not None:  # closed by the caller
                sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or Python complains
        return 1


def _command(given: List[str]) -> int:
    first = given[0] if given else "--help"
    if first in ("--help", "-h"):
        lines = ["  %-10s %s" % (name, command.help) for name, command in COMMANDS.items()]
        print(HELP % (USAGE, "\n".join(lines)))
        return 0 if given else 2
    if first == "--version":
        print(__version__)
        return 0
    if first not in COMMANDS:
        return _fail("no command %r; there are %s" % (first, ", ".join(COMMANDS)))
    return _run(first, COMMANDS[first], given[1:])


def _run(name: str, command: Command, arguments: List[str]) -> int:
    if command.extra and sys.version_info < (3, 11):
        return _fail(
            "%s needs Python 3.11 or newer; this is %s" % (name, platform.python_version())
        )
    try:
        return int(importlib.import_module(command.module).main(arguments))
    except KeyboardInterrupt:
        return 130
    except ModuleNotFoundError as error:
        if not command.extra or (error.name or "").startswith("primus_lens"):
            raise
        return _without_extra(name, command, str(error.name), arguments)


def _without_extra(name: str, command: Command, missing: str, arguments: List[str]) -> int:
    install = "pip install '.[%s]'" % command.extra  # there is no release on PyPI yet
    if "--help" in arguments or "-h" in arguments:
        print(WITHOUT_EXTRA % (name, command.help, command.extra, install))
        return 0
    return _fail(
        "%s needs the package %s; in the directory of this project's sources: %s"
        % (name, missing, install)
    )


def _fail(text: str) -> int:
    print("primus-lens: " + text, file=sys.stderr)
    return 2
