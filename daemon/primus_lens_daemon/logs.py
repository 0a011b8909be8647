# SPDX-License-Identifier: Apache-2.0
"""Structured logs on stderr, logfmt or JSON, one event a line.

Modules use the standard `logging`, with what belongs to an event in `extra`; aiohttp and
asyncio come out in the same form. Values come from hostile pods: both formatters quote and
escape them, so that no value can end its line or forge another key.
"""

from __future__ import annotations

import logging
import time

from logfmter import Logfmter
from pythonjsonlogger.json import JsonFormatter

LEVELS = ("debug", "info", "warning", "error")
FORMATS = ("logfmt", "json")

# Prometheus and its exporters name these three keys so.
NAMES = {"time": "asctime", "level": "levelname", "logger": "name"}


def configure(level: str, format: str) -> None:
    """Send all logs of this level and above to stderr; for the values see above."""
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
