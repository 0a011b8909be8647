# SPDX-License-Identifier: Apache-2.0
"""`primus-lens webhook`: from arguments to a running webhook and an exit status."""

from __future__ import annotations

from collections.abc import Sequence

from primus_lens_hook import __version__
from primus_lens_toolkit import daemon, flags

from primus_lens_webhook.options import ENV_PREFIX
from primus_lens_webhook.settings import Settings

DESCRIPTION = """\
Put the hook into pods that are labelled primus-lens.io/wandb: enabled, or whose namespace is,
as a mutating admission webhook. Pods are created whatever becomes of it."""
EPILOG = """\
with a certificate of its own, which every replica makes for itself:
  primus-lens webhook --certificate.names primus-lens-webhook.monitoring.svc \\
    --certificate.secret-namespace monitoring --certificate.secret-name primus-lens-webhook-ca \\
    --certificate.webhook-configuration primus-lens-webhook --inject.image IMAGE

with one that cert-manager or you have made:
  primus-lens webhook --certificate.directory /etc/primus-lens/tls --inject.image IMAGE"""


def main(arguments: Sequence[str]) -> int:
    """Run until stopped; see `daemon.run`."""
    parser = flags.Parser("primus-lens webhook", DESCRIPTION, EPILOG)
    parser.add_argument("--version", action="version", version=__version__)
    return daemon.run(_serve, Settings, ENV_PREFIX, parser, arguments)


async def _serve(settings: Settings) -> None:
    # Not at the top: --help works where the extra is not installed.
    from primus_lens_webhook.app import serve  # noqa: PLC0415

    await serve(settings)
