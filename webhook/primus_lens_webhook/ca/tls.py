# SPDX-License-Identifier: Apache-2.0
"""TLS with a certificate that exists in memory only."""

from __future__ import annotations

import os
import ssl


def context(certificate: bytes, key: bytes) -> ssl.SSLContext:
    """For a server; both are PEM. Raises ValueError if they are no certificate and its key.

    OpenSSL takes them from a file only: an anonymous one, which no other process can open
    and which works where every file system is read-only.
    """
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.minimum_version = ssl.TLSVersion.TLSv1_2
    made.options |= ssl.OP_NO_RENEGOTIATION
    made.set_alpn_protocols(["http/1.1"])
    descriptor = os.memfd_create("certificate")
    try:
        with open(descriptor, "wb", closefd=False) as file:
            file.write(key + b"\n" + certificate)
        # An empty password, lest an encrypted key makes OpenSSL ask for it on the terminal.
        made.load_cert_chain(f"/proc/self/fd/{descriptor}", password="")
    except ssl.SSLError as error:
        raise ValueError(f"no certificate and its key: {error.reason or 'not PEM'}") from error
    finally:
        os.close(descriptor)
    return made
