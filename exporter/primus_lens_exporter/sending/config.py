# SPDX-License-Identifier: Apache-2.0
"""What the configuration files of all protocols have: how to reach the receiver.

The keys are those of `remote_write` in Prometheus' configuration, as many as are supported;
any other is refused by name. No message may show a value: most of them are secrets.
"""

from __future__ import annotations

import re

import msgspec

from primus_lens_exporter.http_client import config as http_config
from primus_lens_exporter.model import durations
from primus_lens_exporter.model.external_labels import added_label
from primus_lens_exporter.model.labels import Labels

# The specification of remote write 2.0 calls the first four reserved.
RESERVED = {
    "content-encoding", "content-type", "x-prometheus-remote-write-version", "user-agent",
    "authorization", "host", "content-length",
}  # fmt: skip


class SendingConfig(http_config.HttpConfig, frozen=True, forbid_unknown_fields=True):
    """The whole file; a protocol may have further keys."""

    headers: dict[str, str] = msgspec.field(default_factory=dict)
    remote_timeout: str = "30s"
    external_labels: dict[str, str] = msgspec.field(default_factory=dict)

    @property
    def timeout_seconds(self) -> float:
        """`remote_timeout`. Raises ValueError."""
        try:
            return durations.seconds(self.remote_timeout)
        except ValueError as error:
            raise ValueError(f"remote_timeout: {error}") from None

    @property
    def labels(self) -> Labels:
        """`external_labels`. Raises ValueError."""
        return tuple(added_label(f"{name}={text}") for name, text in self.external_labels.items())

    def check(self) -> None:
        """Raises ValueError for values that cannot be used."""
        super().check()
        for name, text in self.headers.items():
            if name.lower() in RESERVED:
                raise ValueError(f"headers: {name} is set by the exporter")
            if not re.fullmatch(r"[!#-'*+.^-z|~\w-]+", name, re.ASCII) or re.search(
                r"[\0\r\n]", text
            ):
                raise ValueError(f"headers: {name!r} is not a header, or its value has line breaks")
        _ = self.timeout_seconds, self.labels
