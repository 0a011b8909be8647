# SPDX-License-Identifier: Apache-2.0
"""`primus-lens top`: arguments in, a screen or one table out, and an exit status."""

from __future__ import annotations

import argparse
import asyncio
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from primus_lens_toolkit.flags import Parser, argument, positive
from rich.console import Console
from yarl import URL

from primus_lens_exporter.http_client import config as http_config
from primus_lens_exporter.http_client.config import HttpConfig
from primus_lens_exporter.http_client.peer import describe
from primus_lens_exporter.top import once, text
from primus_lens_exporter.top.app import App
from primus_lens_exporter.top.client import Client, Trouble

DEFAULT_URL = "http://127.0.0.1:10471"
DESCRIPTION = """\
The runs of an exporter in this terminal, as they go: step, speed, loss, age, and what is
wrong with them. Enter shows the ranks of a run, ? all keys."""
EPILOG = """\
examples:
  primus-lens top
  primus-lens top https://gpu-17:10471 --http.config.file http.yml
  primus-lens top --once | grep llama

The file is in the words of Prometheus' http_config: basic_auth, authorization, tls_config."""


def main(arguments: Sequence[str]) -> int:
    """Returns 0; 1 if the exporter has no answer at the start; 2 for bad arguments."""
    parser = _parser()
    given = parser.parse_args(arguments)
    try:
        file = given.http_config_file
        client = Client(given.url, http_config.load(file, HttpConfig) if file else HttpConfig())
        client.check()
    except (OSError, ValueError) as error:
        parser.error(f"--http.config.file: {describe(error)}")
    sys.stdout.reconfigure(errors="replace")  # type: ignore[union-attr] # a locale without bars
    try:
        return asyncio.run(_run(client, given.interval, once_only=given.once))
    except Trouble as trouble:
        print(f"primus-lens top: {text.harmless(str(trouble))}", file=sys.stderr)
        return 1


async def _run(client: Client, interval: int, *, once_only: bool) -> int:
    console = Console(highlight=False, markup=False, emoji=False)
    async with client:
        first = await client.runs()
        if not once_only and console.is_interactive and sys.stdin.isatty() and sys.stdout.isatty():
            return await App(client, first, interval, console).run()
    width = shutil.get_terminal_size((0, 0)).columns or None  # of a pipe: none
    once.show(once.lines(client.shown, first, console, width), console)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = Parser("primus-lens top", DESCRIPTION, EPILOG)
    parser.add_argument(
        "url",
        type=argument(lambda given: http_config.server_url(given, DEFAULT_URL)),
        nargs="?",
        default=URL(DEFAULT_URL),
        metavar="URL",
        help=f"the exporter's address [default: {DEFAULT_URL}]",
    )
    parser.add_argument(
        "--http.config.file",
        dest="http_config_file",
        type=Path,
        metavar="FILE",
        help="credentials and TLS for it",
    )
    parser.add_argument(
        "--interval",
        type=argument(positive),
        default=2,
        metavar="SECONDS",
        help="how often to ask [default: 2]",
    )
    parser.add_argument(
        "--once",
        action="store_true",
        help="print one table and end, as is done where there is no terminal",
    )
    return parser
