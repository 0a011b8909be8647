# SPDX-License-Identifier: Apache-2.0
"""TLS of a server, the same wherever its certificate comes from."""

from __future__ import annotations

import ssl
from pathlib import Path


def server_context(certificate: Path | str, key: Path | str | None = None) -> ssl.SSLContext:
    """TLS 1.2 or newer for HTTP/1.1, from PEM files. Raises OSError, or ValueError for bad PEM.

    Each call makes a new context: no session of an older one can be resumed in it, which
    would let in clients that its CA does not know.
    """
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.minimum_version = ssl.TLSVersion.TLSv1_2
    made.options |= ssl.OP_NO_RENEGOTIATION
    made.set_alpn_protocols(["http/1.1"])
    try:
        # An empty password, lest an encrypted key makes OpenSSL ask for it on the terminal.
        made.load_cert_chain(certificate, key, password="")
    except ssl.SSLError as error:
        raise ValueError(error.reason or "not PEM") from error
    return made
