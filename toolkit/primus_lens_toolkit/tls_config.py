# SPDX-License-Identifier: Apache-2.0
"""`tls_server_config` of the web configuration, and the TLS it stands for.

The names are those of Prometheus' exporter-toolkit, and so of Go. What Python's TLS cannot
do as Go does is refused, never approximated.
"""

from __future__ import annotations

import ipaddress
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from primus_lens_toolkit.tls import server_context

# Go's names of the TLS 1.2 suites that it takes for secure, as OpenSSL calls them. Those of
# TLS 1.3 may be listed; neither side lets them be chosen.
CIPHERS = {
    f"TLS_ECDHE_{key}_WITH_{suite}": f"ECDHE-{key}-{openssl}"
    for key in ("ECDSA", "RSA")
    for suite, openssl in {
        "AES_128_CBC_SHA": "AES128-SHA",
        "AES_256_CBC_SHA": "AES256-SHA",
        "AES_128_GCM_SHA256": "AES128-GCM-SHA256",
        "AES_256_GCM_SHA384": "AES256-GCM-SHA384",
        "CHACHA20_POLY1305_SHA256": "CHACHA20-POLY1305",
    }.items()
} | dict.fromkeys(
    ("TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"), ""
)
VERSIONS = {"TLS12": ssl.TLSVersion.TLSv1_2, "TLS13": ssl.TLSVersion.TLSv1_3}
# Python verifies each certificate it asks for: RequestClientCert and RequireAnyClientCert,
# which do not, cannot be had.
CLIENT_AUTH = {
    "NoClientCert": ssl.CERT_NONE,
    "VerifyClientCertIfGiven": ssl.CERT_OPTIONAL,
    "RequireAndVerifyClientCert": ssl.CERT_REQUIRED,
}

Meaning = TypeVar("Meaning")


class TlsServerConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """File names are relative to the configuration file's directory."""

    cert_file: str
    key_file: str
    client_auth_type: str = "NoClientCert"
    client_ca_file: str | None = None
    client_allowed_sans: frozenset[str] = frozenset()
    min_version: str = "TLS12"
    max_version: str = "TLS13"
    cipher_suites: tuple[str, ...] = ()
    prefer_server_cipher_suites: bool = True

    def files(self, directory: Path) -> list[Path]:
        """The files it names."""
        names = (self.cert_file, self.key_file, self.client_ca_file)
        return [directory / name for name in names if name]


def context(tls: TlsServerConfig, directory: Path) -> ssl.SSLContext:
    """TLS for new connections. Raises OSError or, with a text for the user, ValueError."""
    made = _identified(tls, directory)
    made.minimum_version = choose("min_version", tls.min_version, VERSIONS)
    made.maximum_version = choose("max_version", tls.max_version, VERSIONS)
    if made.minimum_version > made.maximum_version:
        raise ValueError("min_version is above max_version; swap them")
    _set_ciphers(made, tls)
    _ask_clients(made, tls, directory)
    return made


def choose(key: str, value: str, meanings: Mapping[str, Meaning]) -> Meaning:
    """What a value stands for; ValueError, naming the key and the choices, otherwise."""
    if value not in meanings:
        raise ValueError(f"{key}: expected one of {', '.join(meanings)}, not {value!r}")
    return meanings[value]


def alternative_names(certificate: Mapping[str, Any] | None) -> set[str]:
    """DNS names, addresses, e-mails and URIs of `SSLSocket.getpeercert()`, as Go writes them."""
    found = (certificate or {}).get("subjectAltName", ())
    return {
        str(ipaddress.ip_address(name.strip())) if kind == "IP Address" else name
        for kind, name in found
        if kind in {"DNS", "IP Address", "email", "URI"}
    }


def _set_ciphers(made: ssl.SSLContext, tls: TlsServerConfig) -> None:
    if not tls.prefer_server_cipher_suites:
        made.options &= ~ssl.OP_CIPHER_SERVER_PREFERENCE
    ciphers = {choose("cipher_suites", name, CIPHERS) for name in tls.cipher_suites}
    if ciphers == {""}:
        raise ValueError("cipher_suites: none is for TLS 1.2; set min_version: TLS13 instead")
    if ciphers:
        names = (CIPHERS[name] for name in tls.cipher_suites)
        made.set_ciphers(":".join(filter(None, names)))


def _identified(tls: TlsServerConfig, directory: Path) -> ssl.SSLContext:
    for path in tls.files(directory):
        with path.open("rb"):
            pass  # OpenSSL's error would not say which of the files is missing
    try:
        return server_context(directory / tls.cert_file, directory / tls.key_file)
    except ValueError as error:
        raise ValueError(
            f"cert_file {tls.cert_file}, key_file {tls.key_file}: {error}; "
            "give a PEM certificate and the unencrypted key that belongs to it"
        ) from error


def _ask_clients(made: ssl.SSLContext, tls: TlsServerConfig, directory: Path) -> None:
    made.verify_mode = choose("client_auth_type", tls.client_auth_type, CLIENT_AUTH)
    if bool(tls.client_ca_file) != (made.verify_mode != ssl.CERT_NONE):
        raise ValueError(
            "client_ca_file goes with client_auth_type VerifyClientCertIfGiven or "
            "RequireAndVerifyClientCert; give both or neither"
        )
    if tls.client_allowed_sans and made.verify_mode != ssl.CERT_REQUIRED:
        raise ValueError(
            "client_allowed_sans needs client_auth_type RequireAndVerifyClientCert; set it"
        )
    if tls.client_ca_file:
        try:
            made.load_verify_locations(directory / tls.client_ca_file)
        except ssl.SSLError as error:
            raise ValueError(
                f"client_ca_file {tls.client_ca_file}: no certificate in it; give a PEM file"
            ) from error
