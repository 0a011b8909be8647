# SPDX-License-Identifier: Apache-2.0
"""`--check-config`: whether the exporter would start with its flags and files. Starts nothing."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from primus_lens_toolkit.web_config import BadWebConfig, WebConfigFile
from prometheus_client import Counter
from yarl import URL

from primus_lens_exporter.http_client.peer import describe
from primus_lens_exporter.model.errors import ExporterError
from primus_lens_exporter.model.labels import clean
from primus_lens_exporter.otlp import config as otlp_config
from primus_lens_exporter.remote_write import config as remote_write_config
from primus_lens_exporter.sampling import config as sampling_config
from primus_lens_exporter.sending.client import Client
from primus_lens_exporter.sending.config import SendingConfig
from primus_lens_exporter.settings import Settings

FLAG = "--check-config"

Load = Callable[[Path], object]


def check(settings: Settings) -> int:
    """Tell of each file that is named, in one line; returns the exit status."""
    status = 0
    print("ok: flags")
    for flag, path, load in _files(settings):
        try:
            load(path)
        except (ExporterError, BadWebConfig, OSError, ValueError) as error:
            print(f"{flag}: {describe(error)}", file=sys.stderr)
            status = 2
        else:
            print(f"ok: {flag} {clean(str(path))}")  # a name need not be UTF-8
    return status


def _files(settings: Settings) -> Iterator[tuple[str, Path, Load]]:
    remote_write, otlp = settings.remote_write_url, settings.otlp_endpoint
    named: tuple[tuple[str, Path | None, Load], ...] = (
        ("--sampling.config.file", settings.sampling_config_file, sampling_config.load),
        (
            "--remote-write.config.file",
            settings.remote_write_config_file,
            lambda path: _sending(remote_write_config.load(path), remote_write),
        ),
        (
            "--otlp.config.file",
            settings.otlp_config_file,
            lambda path: _sending(otlp_config.load(path), otlp),
        ),
        ("--web.config.file", settings.web_config_file, _web),
    )
    return ((flag, path, load) for flag, path, load in named if path is not None)


def _sending(config: SendingConfig, url: URL | None) -> None:
    """Read what the file names too, where it is known what is needed."""
    if url is not None:
        Client(url, config).check()


def _web(path: Path) -> None:
    WebConfigFile(path, Counter("unused", "No file is read again.", registry=None))
