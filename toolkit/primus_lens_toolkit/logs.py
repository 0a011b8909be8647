# SPDX-License-Identifier: Apache-2.0
"""Structured logs on stderr, logfmt or JSON, one event a line.

Modules use the standard `logging`, with what belongs to an event in `extra`; aiohttp and
asyncio come out in the same form. Values come from hostile pods: both formatters quote and
escape them, so that no value can end its line or forge another key.
"""

from __future__ import annotations

import dataclasses
import logging
import time

from primus_lens_toolkit.flags import flag, one_of

LEVELS = ("debug", "info", "warning", "error")
FORMATS = ("logfmt", "json")

# Prometheus and its exporters name these three keys so.
NAMES = {"time": "asctime", "level": "levelname", "logger": "name"}


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class LogSettings:
    """How much each daemon tells, and in which form."""

    log_level: str = flag(
        "--log.level",
        "one of " + ", ".join(LEVELS),
        one_of(*LEVELS),
        default="info",
        metavar="LEVEL",
    )
    log_format: str = flag(
        "--log.format",
        "one of " + ", ".join(FORMATS),
        one_of(*FORMATS),
        default="logfmt",
        metavar="FORMAT",
    )


def configure(level: str, format: str) -> None:
    """Send all logs of this level and above to stderr; for the values see above."""
    # Not at the top: `primus-lens webhook --help` works where the extra is not installed.
    from logfmter import Logfmter  # noqa: PLC0415
    from pythonjsonlogger.json import JsonFormatter  # noqa: PLC0415

    formatter: logging.Formatter = Logfmter(keys=list(NAMES), mapping=NAMES)
    if format == "json":
        fields = {attribute: name for name, attribute in NAMES.items()} | {"message": "msg"}
        formatter = JsonFormatter(" ".join(f"%({a})s" for a in fields), rename_fields=fields)
    formatter.converter = time.gmtime
    formatter.default_time_format = "%Y-%m-%dT%H:%M:%S"
    formatter.default_msec_format = "%s.%03dZ"
    handler = logging.StreamHandler()
    handler.setFormatter(formatter)
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
