# SPDX-License-Identifier: Apache-2.0
"""Where the rules of sampling are, and what sampling may cost."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from primus_lens_toolkit.flags import flag, limit


@dataclasses.dataclass(frozen=True)
class SamplingSettings:
    """Each is a flag; without a file every value is kept."""

    sampling_config_file: Path | None = flag(
        "--sampling.config.file",
        "YAML file of rules by which values are left out, for page, remote write and OTLP alike",
        Path,
        default=None,
        metavar="FILE",
    )
    limits_waiting_values_per_pod: int = limit(
        "--limits.waiting-values-per-pod",
        "most values of one pod that wait to be aggregated with those of further ranks",
        50_000,
    )
