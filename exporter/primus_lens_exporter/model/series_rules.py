# SPDX-License-Identifier: Apache-2.0
"""Which keys and runs become series: one set of rules for the page, remote write and backfill.

Keys and run ids come from untrusted pods: a rule may take no more than linear time on them.
"""

from __future__ import annotations

import dataclasses

from primus_lens_toolkit.flags import flag, limit

from primus_lens_exporter.model.drops import KEY_RULES, LABEL_BYTES
from primus_lens_exporter.model.key_rules import Named, Pattern, mapping
from primus_lens_exporter.model.labels import encoded


@dataclasses.dataclass(frozen=True)
class SeriesRules:
    """Each is a flag."""

    keys_allow: Pattern | None = flag(
        "--keys.allow",
        "pattern (RE2, matched as a whole) of the logged keys that become series",
        Pattern,
        default=None,
        metavar="PATTERN",
        unset="all",
    )
    keys_deny: Pattern | None = flag(
        "--keys.deny",
        "pattern of the logged keys that do not, whatever is allowed",
        Pattern,
        default=None,
        metavar="PATTERN",
    )
    keys_mapping_file: Named | None = flag(
        "--keys.mapping-file",
        "YAML file of proper metric names, in base units, for known keys",
        mapping,
        default=None,
        metavar="FILE",
    )
    limits_keys_per_rank: int = limit(
        "--limits.keys-per-rank", "most keys of one run on one rank that become series", 2_000
    )
    limits_label_bytes: int = limit(
        "--limits.label-bytes",
        "longest label value; longer keys and run ids get no series, longer names are cut",
        512,
        "BYTES",
    )

    @property
    def named(self) -> Named:
        """The keys that have a metric of their own."""
        return self.keys_mapping_file or {}

    def against_label(self, value: str) -> str | None:
        """The reason why a run id or key is too long to be a label; None if it is not."""
        long = len(value if value.isascii() else encoded(value)) > self.limits_label_bytes
        return LABEL_BYTES if long else None

    def against_key(self, key: str) -> str | None:
        """The reason why a key becomes no series; None where it becomes one.

        Patterns match a key as a whole, as they do in Prometheus.
        """
        if reason := self.against_label(key):
            return reason
        if self.keys_deny is not None and self.keys_deny.fullmatch(key):
            return KEY_RULES
        allowed = self.keys_allow is None or self.keys_allow.fullmatch(key)
        return None if allowed else KEY_RULES
