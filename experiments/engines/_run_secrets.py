"""Certificates and keys that live as long as one run, in a folder that only its owner can read.

The run's own authority issues one certificate for whoever listens and one for whoever connects; its private key is
never written, so nobody can issue a third. Every port of the run demands the second: whoever knows only a port, as
any other user of the machine does, is refused by TLS before a byte of HTTP is read.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from common.consortium.certificates import key_usage

LOOPBACK = "127.0.0.1"
HERE = [x509.DNSName("localhost"), x509.IPAddress(ip_address(LOOPBACK))]
"""Both: nginx holds a certificate against names alone."""
CLOCK_SLACK = timedelta(minutes=5)


@dataclass(frozen=True)
class RunSecrets:
    """Where the files are. connecting: the certificate and key that each of the run's own programs presents."""

    authority: Path
    listening_certificate: Path
    listening_key: Path
    connecting: Path
    node_keys: Sequence[Path]

    @classmethod
    def create(cls, folder: Path, nodes: int, valid_s: float) -> RunSecrets:
        """New ones in `folder`, which must not be there yet; certificates end `valid_s` seconds from now."""
        folder.mkdir(mode=0o700, parents=True)
        issuer = _Issuer(datetime.now(UTC), timedelta(seconds=valid_s))
        listening, connecting = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
        return cls(
            _write(folder / "authority.crt", _pem(issuer.own_certificate())),
            _write(folder / "listening.crt", _pem(issuer.issue(listening, ExtendedKeyUsageOID.SERVER_AUTH))),
            _write(folder / "listening.key", _private(listening)),
            _write(
                folder / "connecting.pem",
                _pem(issuer.issue(connecting, ExtendedKeyUsageOID.CLIENT_AUTH)) + _private(connecting),
            ),
            [_node_key(folder, index) for index in range(nodes)],
        )


def secrets_in(folder: Path) -> RunSecrets:
    """Where `RunSecrets.create` put those of a run without nodes; whether they are there is not looked at."""
    names = ("authority.crt", "listening.crt", "listening.key", "connecting.pem")
    authority, certificate, key, connecting = (folder / name for name in names)
    return RunSecrets(authority, certificate, key, connecting, ())


class _Issuer:
    """A certificate authority whose key stays in this object."""

    def __init__(self, now: datetime, validity: timedelta) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "one run of Wardround")])
        self._begin, self._end = now - CLOCK_SLACK, now + validity

    def own_certificate(self) -> x509.Certificate:
        return (
            self._certificate(self._key, self._name)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(key_usage(signs_certificates=True), critical=True)
            .sign(self._key, hashes.SHA256())
        )

    def issue(self, key: ec.EllipticCurvePrivateKey, purpose: x509.ObjectIdentifier) -> x509.Certificate:
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, LOOPBACK)])
        return (
            self._certificate(key, name)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(key_usage(signs_certificates=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([purpose]), critical=True)
            .add_extension(x509.SubjectAlternativeName(HERE), critical=False)
            .sign(self._key, hashes.SHA256())
        )

    def _certificate(self, key: ec.EllipticCurvePrivateKey, name: x509.Name) -> x509.CertificateBuilder:
        issuer_key = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        return (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(self._begin)
            .not_valid_after(self._end)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(issuer_key, critical=False)
        )


def _node_key(folder: Path, index: int) -> Path:
    """A P-384 key in OpenSSH's format, as Flower's nodes want it; the public half beside it, with `.pub`."""
    key = ec.generate_private_key(ec.SECP384R1())
    public = key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)
    _write(folder / f"node-{index}.pub", public + b"\n")
    return _write(folder / f"node-{index}", key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()))


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(Encoding.PEM)


def _private(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _write(path: Path, content: bytes) -> Path:
    """A new file that nobody but its owner can open, from its first moment on."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)
    return path
