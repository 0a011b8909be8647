# SPDX-License-Identifier: Apache-2.0
"""A certificate authority of our own, and the certificates that it signs. Pure but for keys.

Everything is P-256: as fast as TLS gets, and known to every API server.
"""

from __future__ import annotations

import datetime as dt
import ipaddress
from collections.abc import Sequence
from typing import NamedTuple

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

SKEW = dt.timedelta(minutes=5)  # clocks of API servers may be behind ours
NAME = "primus-lens-webhook"

Certificate = x509.Certificate


class Identity(NamedTuple):
    """A certificate and its key: of an authority or of a replica."""

    certificate: Certificate
    key: ec.EllipticCurvePrivateKey

    @property
    def pem(self) -> bytes:
        """The certificate alone."""
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    @property
    def key_pem(self) -> bytes:
        """PKCS 8, without a password."""
        return self.key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )


def authority(lifetime: float, now: dt.datetime) -> Identity:
    """A new one, valid for so many seconds."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"{NAME}-ca")])
    usage = x509.KeyUsage(
        digital_signature=True, key_cert_sign=True, crl_sign=True,
        content_commitment=False, key_encipherment=False, data_encipherment=False,
        key_agreement=False, encipher_only=False, decipher_only=False,
    )  # fmt: skip
    builder = (
        _builder(name, key, now, now + dt.timedelta(seconds=lifetime))
        .issuer_name(name)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
    )
    return Identity(builder.sign(key, hashes.SHA256()), key)


def sign(signer: Identity, names: Sequence[str], lifetime: float, now: dt.datetime) -> Identity:
    """A replica's certificate; it never outlives its signer."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, NAME)])
    until = min(now + dt.timedelta(seconds=lifetime), signer.certificate.not_valid_after_utc)
    issuer_key = x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.key.public_key())
    builder = (
        _builder(subject, key, now, until)
        .issuer_name(signer.certificate.subject)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName([_name(each) for each in names]), critical=False)
        .add_extension(issuer_key, critical=False)
    )
    return Identity(builder.sign(signer.key, hashes.SHA256()), key)


def load(certificate: bytes, key: bytes) -> Identity:
    """Read PEM. Raises ValueError or TypeError."""
    loaded = x509.load_pem_x509_certificate(certificate)
    private = serialization.load_pem_private_key(key, None)
    if not isinstance(private, ec.EllipticCurvePrivateKey):
        raise TypeError("the key is of another kind than ours")
    if private.public_key() != loaded.public_key():
        raise ValueError("the key belongs to another certificate")
    return Identity(loaded, private)


def load_bundle(pem: bytes) -> list[Certificate]:
    """The certificates in it; none where it is no PEM."""
    try:
        return x509.load_pem_x509_certificates(pem)
    except ValueError:
        return []


def issued(issuer: Certificate, certificate: Certificate) -> bool:
    """Whether one was signed by the other."""
    try:
        certificate.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def valid(certificate: Certificate, now: dt.datetime) -> bool:
    """Whether it has begun and not expired."""
    return certificate.not_valid_before_utc <= now < certificate.not_valid_after_utc


def renewal(certificate: Certificate) -> dt.datetime:
    """When two thirds of its life are over."""
    begin = certificate.not_valid_before_utc
    return begin + (certificate.not_valid_after_utc - begin) * 2 / 3


def _builder(
    subject: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    now: dt.datetime,
    until: dt.datetime,
) -> x509.CertificateBuilder:
    public = key.public_key()
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - SKEW)
        .not_valid_after(until)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
    )


def _name(text: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(text))
    except ValueError:
        return x509.DNSName(text)
