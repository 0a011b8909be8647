# SPDX-License-Identifier: Apache-2.0
"""The exporter's settings, each of them a flag and an environment variable."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from primus_lens_daemon.flags import flag
from primus_lens_daemon.listen import Address, address
from primus_lens_daemon.logs import FORMATS, LEVELS

ENV_PREFIX = "PRIMUS_LENS_EXPORTER_"


def directory(text: str) -> Path:
    """An existing directory; ValueError otherwise."""
    path = Path(text)
    if not path.exists():
        raise ValueError(f"{text} does not exist; create it, or name the training's output path")
    if not path.is_dir():
        raise ValueError(f"{text} is not a directory; name the directory that holds node_*/")
    return path


def positive(text: str) -> int:
    """A whole number above zero; ValueError otherwise."""
    if not text.isascii() or not text.isdigit() or int(text) == 0:
        raise ValueError(f"expected a whole number above zero, not {text!r}")
    return int(text)


def log_level(text: str) -> str:
    """One of `logs.LEVELS`; ValueError otherwise."""
    if text not in LEVELS:
        raise ValueError(f"expected one of {', '.join(LEVELS)}, not {text!r}")
    return text


def log_format(text: str) -> str:
    """One of `logs.FORMATS`; ValueError otherwise."""
    if text not in FORMATS:
        raise ValueError(f"expected one of {', '.join(FORMATS)}, not {text!r}")
    return text


@dataclasses.dataclass(frozen=True, slots=True)
class Settings:
    """What one exporter does; read once at the start."""

    records_path: tuple[Path, ...] = flag(
        "--records.path",
        "directory that the training writes to (its PRIMUS_LENS_WANDB_OUTPUT_PATH); repeatable",
        directory,
        repeatable=True,
        metavar="DIR",
    )
    web_listen_address: Address = flag(
        "--web.listen-address",
        "address for /metrics; an empty host means every interface, port 0 any free one",
        address,
        default=Address("", 10471),
        metavar="HOST:PORT",
    )
    limits_line_bytes: int = flag(
        "--limits.line-bytes",
        "longest line that is read; longer ones are passed over and counted",
        positive,
        default=1 << 20,
        metavar="BYTES",
    )
    series_grace_seconds: int = flag(
        "--series.grace-seconds",
        "how long the last values stay after a rank's directory is gone",
        positive,
        default=60,
        metavar="SECONDS",
    )
    log_level: str = flag(
        "--log.level",
        "one of " + ", ".join(LEVELS),
        log_level,
        default="info",
        metavar="LEVEL",
    )
    log_format: str = flag(
        "--log.format",
        "one of " + ", ".join(FORMATS),
        log_format,
        default="logfmt",
        metavar="FORMAT",
    )
