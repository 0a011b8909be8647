# SPDX-License-Identifier: Apache-2.0
"""A daemon's command: from arguments to a running daemon and an exit status."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, TypeVar

from primus_lens_toolkit import flags, logs
from primus_lens_toolkit.errors import CannotStart

Settings = TypeVar("Settings", bound=logs.LogSettings)

log = logging.getLogger(__name__)


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
        asyncio.run(_through_hangups(serve(given)))
    except CannotStart as error:
        parser.exit(2, f"{parser.prog}: {error}\n")
    return 0


async def _through_hangups(serving: Coroutine[Any, Any, None]) -> None:
    """Go on after a SIGHUP, which to Prometheus means: read the configuration again."""
    asyncio.get_running_loop().add_signal_handler(
        signal.SIGHUP,
        log.info,
        "SIGHUP: configuration files are read again whenever they change; flags, with a restart",
    )
    await serving
