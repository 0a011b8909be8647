# SPDX-License-Identifier: Apache-2.0
"""`primus-lens webhook`: from arguments to a running webhook and an exit status."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Sequence

from primus_lens_hook import __version__
from primus_lens_toolkit import flags, listen, logs
from primus_lens_toolkit.kubernetes_api import NotConfigured

from primus_lens_webhook.app import serve
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
    """Run until stopped. Returns the exit status; argparse exits with 2 on a bad flag."""
    parser = flags.Parser("primus-lens webhook", DESCRIPTION, EPILOG)
    parser.add_argument("--version", action="version", version=__version__)
    settings = flags.parse(Settings, parser, arguments, os.environ, ENV_PREFIX)
    logs.configure(settings.log_level, settings.log_format)
    try:
        asyncio.run(serve(settings))
    except (listen.CannotListen, NotConfigured) as error:
        print(f"primus-lens webhook: {error}", file=sys.stderr)
        return 2
    return 0
