# SPDX-License-Identifier: Apache-2.0
"""A certificate that somebody else keeps, in the files of a mounted `kubernetes.io/tls` Secret."""

from __future__ import annotations

import asyncio
import logging
import math
import ssl
import time
from pathlib import Path

from primus_lens_toolkit.file_watch import FileWatch
from primus_lens_toolkit.warn_once import WarnOnce

from primus_lens_webhook.ca.authority import load_bundle
from primus_lens_webhook.ca.tls import context

LOOK_SECONDS = 1.0

log = logging.getLogger(__name__)


class CertificateFiles:
    """`tls.crt` and `tls.key`, read again when they change; the last good ones are kept.

    Whether API servers trust them is the business of who keeps them: of that, `in_sync`
    cannot tell, and it is None.
    """

    in_sync: bool | None = None

    def __init__(self, directory: Path) -> None:
        self.tls: ssl.SSLContext | None = None
        self.expiry = math.nan
        self._directory = directory
        self._watch = FileWatch()
        self._is_good = False
        self._warn = WarnOnce(log)

    @property
    def ready(self) -> bool:
        """Whether there is a certificate that has not expired."""
        return self.tls is not None and time.time() < self.expiry

    async def run(self) -> None:
        """Look, for ever."""
        while True:
            self.look()
            await asyncio.sleep(LOOK_SECONDS)

    def look(self) -> None:
        """Read again what has changed, or could not be read. Never raises."""
        if self._is_good and not self._watch.changed():
            return
        paths = [self._directory / name for name in ("tls.crt", "tls.key")]
        self._watch.restart(*paths)
        self._is_good = False
        try:
            certificate, key = (path.read_bytes() for path in paths)
            self.tls = context(certificate, key)
            self.expiry = load_bundle(certificate)[0].not_valid_after_utc.timestamp()
            self._is_good = True
            self._warn.over()
            log.info("certificate read", extra={"directory": str(self._directory)})
        except (OSError, ValueError) as error:  # also a certificate beside the old key
            self._warn(str(error), "cannot read the certificate", error=str(error))
