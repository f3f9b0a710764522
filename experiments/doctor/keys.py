"""Certificates and keys: whether they are there, fit each other, and still count."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path

from cryptography import x509

from common.consortium import certificates as certs
from common.consortium.expiry import Expiry
from common.errors import WireError
from common.files.access import read
from experiments.doctor.finding import Finding, fail, ok, warn

LARGEST_BYTES = 1 << 24
LEAF_END = b"-----END CERTIFICATE-----"
AGAIN = "Have the coordinator send its reply again, and run `wardround node accept`."


def first_certificate(folder: Path, name: str) -> x509.Certificate:
    """The leaf of a chain. Raises FileError, WireError."""
    data = read(folder, name, LARGEST_BYTES)
    return certs.read_certificate(data.partition(LEAF_END)[0] + LEAF_END + b"\n")


def private_key(folder: Path, name: str) -> certs.PrivateKey:
    """Raises FileError, WireError."""
    return certs.read_private_key(read(folder, name, LARGEST_BYTES))


def fits(what: str, certificate: x509.Certificate, key: certs.PrivateKey, remedy: str) -> Finding:
    """Whether a key is its certificate's."""
    if certs.key_digest(certs.public_key_of(certificate)) == certs.key_digest(key.public_key()):
        return ok(what, "the certificate and its key fit")
    return fail(what, "the certificate is of another key than the one beside it", remedy)


def ends(expiries: Iterable[Expiry], at: datetime) -> Iterator[Finding]:
    """When each runs out."""
    for one in expiries:
        warning, until = one.warning(at), f"counts until {one.ends:%Y-%m-%d}"
        if not warning:
            yield ok(one.what, until)
        elif one.ends <= at:
            yield fail(one.what, f"ran out on {one.ends:%Y-%m-%d %H:%M} UTC", f"{one.remedy}.")
        else:
            yield warn(one.what, until, f"{one.remedy}.")


def hospital_certificate(folder: Path, site: str, at: datetime) -> Iterator[Finding]:
    """A hospital's own: whose, for which node key, of whose authority."""
    leaf, authority = first_certificate(folder, "keys/tls.crt"), first_certificate(folder, "keys/authority.crt")
    yield fits("certificate", leaf, private_key(folder, "keys/tls.key"), AGAIN)
    try:
        certs.demand_hospital(leaf, authority, at)
        yield ok("chain", "the consortium's authority made the certificate, for a hospital, and both count now")
    except WireError as error:
        yield fail("chain", str(error), AGAIN)
    if certs.common_name(leaf) == site:
        yield ok("name", f"the certificate is {site}'s, as node.toml says")
    else:
        said = f"the certificate is {certs.common_name(leaf)}'s, and node.toml says {site}"
        yield fail("name", said, "Write the name that the consortium knows into node.toml: site.")
    node = certs.node_bytes(private_key(folder, "keys/node.key").public_key())
    if certs.node_uri_of(leaf) == certs.node_uri(node):
        yield ok("binding", "the certificate is bound to this node key")
    else:
        yield fail("binding", "the certificate is bound to another node key: the front refuses every request", AGAIN)


def front_certificate(folder: Path, at: datetime) -> Iterator[Finding]:
    """A front's own: of whose authority, for which host names; and the revocation list."""
    again = "wardround consortium renew --front."
    leaf, authority = first_certificate(folder, "front/tls.crt"), first_certificate(folder, "front/ca.crt")
    yield fits("certificate", leaf, private_key(folder, "front/tls.key"), again)
    hosts = host_names(leaf)
    if not hosts:
        yield fail("chain", "the front's certificate carries no host name", again)
    for host in hosts[:1]:
        try:
            certs.demand_front(leaf, authority, host, at)
            yield ok("chain", f"the consortium's authority made the front's certificate, for {', '.join(hosts)}")
        except WireError as error:
            yield fail("chain", str(error), again)
    listed = certs.read_revocations(read(folder, "front/crl.pem", LARGEST_BYTES), authority)
    yield ok("revocations", f"{len(list(listed))} certificates are revoked; the authority signed the list")


def host_names(leaf: x509.Certificate) -> list[str]:
    """Under which nodes may reach it."""
    try:
        names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return []
    addresses = [str(one) for one in names.get_values_for_type(x509.IPAddress)]
    return [*names.get_values_for_type(x509.DNSName), *addresses]
