# SPDX-License-Identifier: Apache-2.0
"""`primus-lens exporter`: from arguments to a running exporter and an exit status."""

from __future__ import annotations

import os
from collections.abc import Sequence

from primus_lens_hook import __version__
from primus_lens_toolkit import daemon, flags

from primus_lens_exporter.app import serve
from primus_lens_exporter.config_check import FLAG, check
from primus_lens_exporter.settings import ENV_PREFIX, Settings

DESCRIPTION = """\
Follow the JSONL files that the hook writes and serve them as Prometheus series: those of one
directory, of the pods of a Kubernetes node, or of a volume that many pods share."""
EPILOG = """\
on a laptop:
  primus-lens exporter --records.path ./metrics --web.listen-address 127.0.0.1:10471
  curl -s http://127.0.0.1:10471/metrics | grep primus_lens_wandb_metric

on each node of a cluster:
  primus-lens exporter --records.kubelet-root /var/lib/kubelet --kubernetes.node-name $NODE"""


def main(arguments: Sequence[str]) -> int:
    """Run until stopped, see `daemon.run`; or check the flags and files, see `config_check`."""
    parser = flags.Parser("primus-lens exporter", DESCRIPTION, EPILOG)
    parser.add_argument("--version", action="version", version=__version__)
    parser.add_argument(FLAG, action="store_true", help="check the flags and files, and end")
    if FLAG in arguments:
        return check(flags.parse(Settings, parser, arguments, os.environ, ENV_PREFIX))
    return daemon.run(serve, Settings, ENV_PREFIX, parser, arguments)
