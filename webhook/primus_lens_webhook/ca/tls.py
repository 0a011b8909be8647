# SPDX-License-Identifier: Apache-2.0
"""TLS with a certificate that exists in memory only."""

from __future__ import annotations

import os
import ssl

from primus_lens_toolkit.tls import server_context


def context(certificate: bytes, key: bytes) -> ssl.SSLContext:
    """For a server; both are PEM. Raises ValueError if they are no certificate and its key.

    OpenSSL takes them from a file only: an anonymous one, which no other process can open
    and which works where every file system is read-only.
    """
    descriptor = os.memfd_create("certificate")
    try:
        with open(descriptor, "wb", closefd=False) as file:
            file.write(key + b"\n" + certificate)
        return server_context(f"/proc/self/fd/{descriptor}")
    except ValueError as error:
        raise ValueError(f"no certificate and its key: {error}") from error
    finally:
        os.close(descriptor)
