# SPDX-License-Identifier: Apache-2.0
"""A daemon's command: from arguments to a running daemon and an exit status."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, TypeVar

from primus_lens_toolkit import flags, logs
from primus_lens_toolkit.errors import CannotStart

Settings = TypeVar("Settings", bound=logs.LogSettings)


def run(
    serve: Callable[[Settings], Coroutine[Any, Any, None]],
    settings: type[Settings],
    prefix: str,
    parser: flags.Parser,
    arguments: Sequence[str],
) -> int:
    """Serve until stopped. Returns 0; exits with 2 on a bad flag and where it cannot start."""
    given = flags.parse(settings, parser, arguments, os.environ, prefix)
    logs.configure(given.log_level, given.log_format)
    try:
        asyncio.run(serve(given))
    except CannotStart as error:
        parser.exit(2, f"{parser.prog}: {error}\n")
    return 0
