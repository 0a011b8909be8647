# SPDX-License-Identifier: Apache-2.0
"""The webhook's settings, each of them a flag and an environment variable."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from primus_lens_toolkit.flags import flag, limit, positive
from primus_lens_toolkit.web_settings import Address, WebSettings, address

from primus_lens_webhook.options import Options

DAY = 24 * 3600


@dataclasses.dataclass(frozen=True, kw_only=True)
class Settings(WebSettings, Options):
    """What one replica of the webhook does; read once at the start."""

    web_max_connections: int = limit(
        "--web.max-connections",
        "connections at once on each port; for a further one, the longest idle one is closed",
        512,  # an API server opens one for each pod that is being created
    )
    web_write_timeout_seconds: int = limit(
        "--web.write-timeout-seconds",
        "how long a client may take from the headers of a request until it has the response",
        10,  # API servers give up after 3
        "SECONDS",
    )
    webhook_listen_address: Address = flag(
        "--webhook.listen-address",
        "address for the API server, HTTPS; an empty host means every interface",
        address,
        default=Address("", 9443),
        metavar="HOST:PORT",
    )
    webhook_max_body_bytes: int = limit(
        "--webhook.max-body-bytes",
        "longest question that is read; the pods of longer ones are not injected",
        8 << 20,  # API servers take requests of 3 MiB, and escape as they ask us
        "BYTES",
    )
    webhook_max_bodies_bytes: int = limit(
        "--webhook.max-bodies-bytes",
        "bytes of questions that are read at once; for more, the longest of them is dropped",
        32 << 20,  # of as many as there may be connections, none below 64 KiB is dropped
        "BYTES",
    )
    webhook_max_pod_entries: int = limit(
        "--webhook.max-pod-entries",
        "most members and elements of a question; the pods of larger ones are not injected",
        50_000,  # some hundred in most pods; that many take tens of milliseconds
    )
    web_listen_address: Address = flag(
        "--web.listen-address",
        "address for /metrics, /-/healthy and /-/ready",
        address,
        default=Address("", 10472),
        metavar="HOST:PORT",
    )
    certificate_directory: Path | None = flag(
        "--certificate.directory",
        "where tls.crt and tls.key are, read again when they change; without it, this replica "
        "makes its own certificate",
        Path,
        default=None,
        metavar="DIR",
    )
    certificate_names: tuple[str, ...] = flag(
        "--certificate.names",
        "DNS name or address that API servers call us by; repeatable",
        default=(),
        repeatable=True,
        metavar="NAME",
    )
    certificate_secret_namespace: str = flag(
        "--certificate.secret-namespace",
        "our own namespace, where the secret is",
        default="",
        metavar="NAMESPACE",
    )
    certificate_secret_name: str = flag(
        "--certificate.secret-name",
        "the secret with the authority that all replicas share; made by whoever is first",
        default="",
        metavar="NAME",
    )
    certificate_webhook_configuration: str = flag(
        "--certificate.webhook-configuration",
        "the MutatingWebhookConfiguration that is told whom to trust",
        default="",
        metavar="NAME",
    )
    certificate_lifetime_seconds: int = flag(
        "--certificate.lifetime-seconds",
        "how long a replica's certificate lasts; it gets another after two thirds",
        positive,
        default=90 * DAY,
        metavar="SECONDS",
    )
    certificate_authority_lifetime_seconds: int = flag(
        "--certificate.authority-lifetime-seconds",
        "how long the shared authority lasts; it is succeeded after two thirds",
        positive,
        default=3 * 365 * DAY,
        metavar="SECONDS",
    )

    def __post_init__(self) -> None:
        """Raises ValueError for settings that make no sense together."""
        Options.__post_init__(self)
        needed = {
            "--certificate.names": self.certificate_names,
            "--certificate.secret-namespace": self.certificate_secret_namespace,
            "--certificate.secret-name": self.certificate_secret_name,
            "--certificate.webhook-configuration": self.certificate_webhook_configuration,
        }
        missing = ", ".join(name for name, value in needed.items() if not value)
        if self.certificate_directory is None and missing:
            raise ValueError(f"give {missing}, or --certificate.directory with a certificate")
