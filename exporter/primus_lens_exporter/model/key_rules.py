# SPDX-License-Identifier: Apache-2.0
"""Patterns that keys are matched with, and the file that gives some a metric name of their own.

Patterns are RE2: a key comes from an untrusted pod, and no pattern may take more than linear
time on it.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import msgspec
import re2
from primus_lens_toolkit import yaml_text

QUIET = re2.Options()
QUIET.log_errors = False  # it would write to stderr by itself
LABEL_NAME = re2.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
# Ours; what Prometheus adds to each scrape, and what its alerts are; what describes a process, as
# its guide "Writing client libraries" has it, ours among them; OpenTelemetry's target_info.
RESERVED = re2.compile(
    "primus_lens_.*"
    "|up|scrape_(duration_seconds|samples_scraped|samples_post_metric_relabeling|series_added"
    "|timeout_seconds|sample_limit|body_size_bytes)"
    "|ALERTS|ALERTS_FOR_STATE"
    "|process_(cpu_seconds(_total)?|start_time_seconds|threads|open_fds|max_fds|heap_bytes"
    "|(virtual|resident)_memory_bytes|virtual_memory_max_bytes|network_(receive|transmit)_bytes_total)"
    "|target_info"
)


class NamedKey(NamedTuple):
    """A metric of its own for one key."""

    name: str
    help: str
    scale: float
    """What a logged value is multiplied by, to come to the base unit."""


class Key(msgspec.Struct, forbid_unknown_fields=True):
    """One entry of a mapping file."""

    key: str
    name: str
    help: str = ""
    scale: float = 1.0


class MappingFile(msgspec.Struct, forbid_unknown_fields=True):
    """A mapping file, as YAML."""

    metrics: list[Key]


Named = Mapping[str, NamedKey]


class Pattern:
    """A regular expression in RE2 syntax. Raises ValueError with what is wrong."""

    def __init__(self, text: str) -> None:
        self._text = text
        try:
            self._compiled = re2.compile(text, QUIET)
        except re2.error as error:
            reason = error.args[0]
            reason = reason.decode() if isinstance(reason, bytes) else reason
            said = " ".join(reason.splitlines())  # it quotes the pattern
            raise ValueError(f"{text!r} is no RE2 pattern: {said}") from None

    def __str__(self) -> str:
        return self._text

    def fullmatch(self, key: str) -> bool:
        try:
            return self._compiled.fullmatch(key) is not None
        except UnicodeEncodeError:  # a lone surrogate
            return False


def mapping(text: str) -> Named:
    """Read a mapping file. Raises ValueError with what is wrong in it, and where."""
    try:
        file = msgspec.convert(yaml_text.parse(Path(text).read_bytes()), MappingFile)
    except OSError as error:
        raise ValueError(f"cannot read {text}: {error.strerror}") from None
    except ValueError as error:
        raise ValueError(f"{text}: {error}") from None
    named: dict[str, NamedKey] = {}
    for entry in file.metrics:
        if not LABEL_NAME.fullmatch(entry.name) or RESERVED.fullmatch(entry.name):
            raise ValueError(f"{text}: {entry.name!r} is no metric name, or a reserved one")
        if entry.key in named or any(each.name == entry.name for each in named.values()):
            raise ValueError(f"{text}: {entry.key!r} or {entry.name!r} is there twice")
        described = " ".join(entry.help.split()) or f"Newest value logged as {entry.key}."
        named[entry.key] = NamedKey(entry.name, described.replace("\\", r"\\"), entry.scale)
    return named
