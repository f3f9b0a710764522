"""The consortium's certificates: its authority (P-384, path length 0), those of hospitals and front, revocations.

A hospital's certificate is for TLS clients alone. It carries the hospital's name (CN) and, as a URI, the SHA-256 of
the key that signs its requests to Flower: whoever holds the TLS connection must be whoever signs the request, and no
table is needed to see it. The front's is for TLS servers alone and carries its host names.

Profile of RFC 5280; every certificate begins a day before it is made, for clocks that go wrong.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA384
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
    load_ssh_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from cryptography.x509.verification import PolicyBuilder, Store, VerificationError

from common.errors import WireError

AUTHORITY_DAYS, LEAF_DAYS, REVOCATION_DAYS = 3650, 730, 730
NODE_URI = "urn:wardround:node:"
ORGANISATION = "Wardround consortium"
LONGEST_COMMON_NAME_BYTES = 64
"""RFC 5280's ub-common-name."""
EARLY = timedelta(days=1)
LARGEST_PEM_BYTES = 1 << 16
OPENSSH_BEGIN = b"-----BEGIN OPENSSH PRIVATE KEY-----"

PrivateKey = ec.EllipticCurvePrivateKey
PublicKey = ec.EllipticCurvePublicKey


@dataclass(frozen=True)
class Authority:
    """What signs certificates: its key is touched when somebody joins, is revoked or renewed, and not otherwise."""

    key: PrivateKey = field(repr=False)
    certificate: x509.Certificate


def now() -> datetime:
    """In UTC, to the second, as certificates say it."""
    return datetime.now(UTC).replace(microsecond=0)


def new_key() -> PrivateKey:
    """Of the operating system's generator."""
    return ec.generate_private_key(ec.SECP384R1())


def new_authority(consortium: str, at: datetime, days: int = AUTHORITY_DAYS) -> Authority:
    """A self-signed authority that can sign no further authority."""
    key = new_key()
    name = _name(consortium)
    builder = (
        _builder(name, name, key.public_key(), at - EARLY, at + timedelta(days=days))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(key_usage(signs_certificates=True), critical=True)
    )
    return Authority(key, builder.sign(key, SHA384()))


def hospital_certificate(
    authority: Authority, site: str, tls: PublicKey, node: bytes, at: datetime, days: int = LEAF_DAYS
) -> x509.Certificate:
    """Of `site`'s key `tls`. node: its other public key, as Flower sends it (`node_bytes`)."""
    uri = x509.UniformResourceIdentifier(node_uri(node))
    return _leaf(authority, site, tls, [uri], ExtendedKeyUsageOID.CLIENT_AUTH, at, days)


def front_certificate(
    authority: Authority, hosts: Sequence[str], tls: PublicKey, at: datetime, days: int = LEAF_DAYS
) -> x509.Certificate:
    """Of the coordinator's front. hosts: DNS names and addresses under which nodes reach it, at least one."""
    return _leaf(authority, "front", tls, [_host(one) for one in hosts], ExtendedKeyUsageOID.SERVER_AUTH, at, days)


def revocation_list(
    authority: Authority, revoked: Mapping[int, datetime], number: int, at: datetime, days: int = REVOCATION_DAYS
) -> x509.CertificateRevocationList:
    """Serial numbers that count no longer, and since when. number: greater than that of every list before.

    A list that ran out makes a front refuse everybody, so that it lasts long.
    """
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(authority.certificate.subject)
        .last_update(max(at - EARLY, authority.certificate.not_valid_before_utc))
        .next_update(min(at + timedelta(days=days), authority.certificate.not_valid_after_utc))
        .add_extension(_issuer_key(authority), critical=False)
        .add_extension(x509.CRLNumber(number), critical=False)
    )
    for serial, since in sorted(revoked.items()):
        entry = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(since)
        builder = builder.add_revoked_certificate(entry.build())
    return builder.sign(authority.key, SHA384())


def node_bytes(key: PublicKey) -> bytes:
    """A node's public key as Flower's header carries it, base64 undone: PEM."""
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def node_uri(node: bytes) -> str:
    """What a hospital's certificate says of the key that signs its requests."""
    return NODE_URI + hashlib.sha256(node).hexdigest()


def node_uri_of(certificate: x509.Certificate) -> str:
    """The URI of a hospital's certificate. Raises WireError where it has none, or several."""
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        uris = names.get_values_for_type(x509.UniformResourceIdentifier)
    except (x509.ExtensionNotFound, x509.DuplicateExtension, ValueError) as error:
        raise WireError("a certificate carries no name of a node.") from error
    if len(uris) != 1 or not uris[0].startswith(NODE_URI):
        raise WireError("a certificate does not carry one name of a node.")
    return uris[0]


def common_name(certificate: x509.Certificate) -> str:
    """Of a hospital's certificate: the hospital's name. Raises WireError where it has none, or several."""
    try:
        names = [str(one.value) for one in certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
    except ValueError as error:
        raise WireError("a certificate's subject cannot be read.") from error
    if len(names) != 1:
        raise WireError("a certificate does not carry one common name.")
    return names[0]


def key_digest(key: PublicKey) -> str:
    """SHA-256 of a public key in the form that certificates carry it, 64 hexadecimal digits."""
    return hashlib.sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).hexdigest()


def demand_hospital(certificate: x509.Certificate, authority: x509.Certificate, at: datetime) -> None:
    """Raise WireError unless `authority` itself issued it, for a TLS client, and both are valid at that time."""
    _demand_authority(authority)
    policy = PolicyBuilder().store(Store([authority])).time(at).max_chain_depth(0)
    try:
        policy.build_client_verifier().verify(certificate, [])
    except (VerificationError, ValueError) as error:
        raise WireError(
            "a certificate is not one that this consortium gave a hospital, or its time is over."
        ) from error


def demand_front(certificate: x509.Certificate, authority: x509.Certificate, host: str, at: datetime) -> None:
    """Raise WireError unless `authority` itself issued it, for the TLS server of this host, and both are valid."""
    _demand_authority(authority)
    policy = PolicyBuilder().store(Store([authority])).time(at).max_chain_depth(0)
    try:
        policy.build_server_verifier(_host(host)).verify(certificate, [])
    except (VerificationError, ValueError) as error:
        raise WireError("a certificate is not this consortium's for that host, or its time is over.") from error


def private_pem(key: PrivateKey) -> bytes:
    """PKCS 8, not encrypted: the file's mode protects it."""
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def openssh_private(key: PrivateKey) -> bytes:
    """As `flower-supernode --auth-supernode-private-key` takes it."""
    return key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())


def openssh_public(key: PublicKey) -> bytes:
    """As `flwr supernode register` takes it, with a line feed."""
    return key.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH) + b"\n"


def pem(signed: x509.Certificate | x509.CertificateRevocationList) -> bytes:
    """Of a certificate, or of a revocation list."""
    return signed.public_bytes(Encoding.PEM)


def read_certificate(data: bytes) -> x509.Certificate:
    """One certificate in PEM, of a P-384 key. Raises WireError."""
    try:
        found = x509.load_pem_x509_certificates(data)
        keys = [one.public_key() for one in found]
    except (ValueError, UnsupportedAlgorithm) as error:
        raise WireError("a certificate cannot be read.") from error
    if len(found) != 1:
        raise WireError("there must be one certificate, and there are several.")
    _p384(keys[0])
    return found[0]


def read_revocations(data: bytes, authority: x509.Certificate) -> x509.CertificateRevocationList:
    """A revocation list in PEM that `authority` signed. Raises WireError."""
    try:
        found = x509.load_pem_x509_crl(data)
        signed = found.is_signature_valid(_p384(authority.public_key()))
    except (ValueError, TypeError, UnsupportedAlgorithm, InvalidSignature) as error:
        raise WireError("a revocation list cannot be read.") from error
    if not signed or found.issuer != authority.subject:
        raise WireError("a revocation list is not signed by this consortium's authority.")
    return found


def read_private_key(data: bytes) -> PrivateKey:
    """A P-384 key in PEM, PKCS 8 or OpenSSH, that no password protects. Raises WireError."""
    try:
        openssh = data.startswith(OPENSSH_BEGIN)
        key = load_ssh_private_key(data, None) if openssh else load_pem_private_key(data, None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise WireError("a private key cannot be read.") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise WireError("a private key is not one of the curve P-384.")
    _p384(key.public_key())
    return key


def read_public_key(data: bytes) -> PublicKey:
    """A P-384 key in PEM. Raises WireError."""
    try:
        return _p384(load_pem_public_key(data))
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise WireError("a public key cannot be read.") from error


def public_key_of(certificate: x509.Certificate) -> PublicKey:
    """Of a certificate that `read_certificate` read."""
    return _p384(certificate.public_key())


def _p384(key: object) -> PublicKey:
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP384R1):
        raise WireError("a public key is not one of the curve P-384.")
    return key


def _demand_authority(authority: x509.Certificate) -> None:
    try:
        authority.verify_directly_issued_by(authority)
    except (ValueError, TypeError, InvalidSignature) as error:
        raise WireError("the consortium's authority did not sign itself.") from error


def _leaf(
    authority: Authority,
    subject: str,
    key: PublicKey,
    names: Sequence[x509.GeneralName],
    purpose: x509.ObjectIdentifier,
    at: datetime,
    days: int,
) -> x509.Certificate:
    end = min(at + timedelta(days=days), authority.certificate.not_valid_after_utc)
    start = max(at - EARLY, authority.certificate.not_valid_before_utc)
    builder = (
        _builder(_name(subject), authority.certificate.subject, _p384(key), start, end)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(key_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(_issuer_key(authority), critical=False)
    )
    return builder.sign(authority.key, SHA384())


def _builder(
    subject: x509.Name, issuer: x509.Name, key: PublicKey, start: datetime, end: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(end)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def key_usage(signs_certificates: bool) -> x509.KeyUsage:
    """Of an authority's certificate, or of one that signs no other."""
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _issuer_key(authority: Authority) -> x509.AuthorityKeyIdentifier:
    own = authority.certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(own)


def _name(common: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, ORGANISATION),
            x509.NameAttribute(NameOID.COMMON_NAME, common),
        ]
    )


def _host(host: str) -> x509.DNSName | x509.IPAddress:
    try:
        return x509.IPAddress(ip_address(host))
    except ValueError:
        return x509.DNSName(host)
