"""What the authority signs, and the files that follow from it, in an order that a crash between two of them survives.

What was issued is written down first, then the certificates and the revocation list, then who the members are, and
last what can be written again from these: the same command, given once more, finishes what was cut short.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

from cryptography import x509

from common.consortium.certificates import (
    LARGEST_PEM_BYTES,
    LEAF_DAYS,
    REVOCATION_DAYS,
    Authority,
    front_certificate,
    hospital_certificate,
    key_digest,
    new_key,
    openssh_public,
    pem,
    private_pem,
    public_key_of,
    read_certificate,
    read_private_key,
    read_public_key,
    revocation_list,
)
from common.consortium.members import write_members
from common.consortium.replies import SUFFIX, Reply
from common.consortium.requests import Request
from common.data.names import SiteId
from common.errors import FileError, SourceError, WireError
from common.files.access import if_there, is_there, names, read, remove, write
from common.files.json_files import write_json
from common.sums.identity import read_key
from server.consortium.place import (
    CERTIFICATES,
    CRL,
    FRONT_AUTHORITY,
    FRONT_CERTIFICATE,
    FRONT_CRL,
    FRONT_KEY,
    FRONT_NAME,
    REPLIES,
    Consortium,
    Issued,
    Issues,
    Public,
    read_public,
    write_consortium,
    write_issues,
)
from server.coordinator_folder import NODE_KEYS


@dataclass
class Desk:
    """The authority at work in one command. Nothing of it is on the disk before `settle`."""

    folder: Path
    authority: Authority
    issues: Issues
    at: datetime
    days: int = LEAF_DAYS
    revocation_days: int = REVOCATION_DAYS
    certificates: dict[SiteId, x509.Certificate] = field(default_factory=dict)
    front: x509.Certificate | None = None

    def certify(self, request: Request, instead: bool) -> None:
        """Of a hospital. instead: what this name was given before counts no longer."""
        if instead:
            self.withdraw(request.name)
        certificate = hospital_certificate(
            self.authority, request.name, request.keys.tls_key, request.keys.node, self.at, self.days
        )
        self._note(request.name, certificate)
        self.certificates[request.name] = certificate

    def certify_front(self, public: Public) -> None:
        """Of the front, for the key that it has, or for its first."""
        if not is_there(self.folder, FRONT_KEY):
            write(self.folder, FRONT_KEY, private_pem(new_key()), durable=True)
        try:
            key = read_private_key(read(self.folder, FRONT_KEY, LARGEST_PEM_BYTES))
        except WireError as error:
            raise SourceError(f"{self.folder / FRONT_KEY}: {error}") from error
        self.front = front_certificate(self.authority, public.hosts, key.public_key(), self.at, self.days)
        self._note(FRONT_NAME, self.front)

    def withdraw(self, name: str) -> None:
        """Nothing that was issued to this name counts any longer."""
        self.issues = self.issues.without(name, self.at)

    def settle(self) -> None:
        """All of it on the disk, with a new revocation list."""
        self.issues = replace(self.issues, crl_number=self.issues.crl_number + 1)
        write_issues(self.folder, self.issues)
        for name, certificate in self.certificates.items():
            write(self.folder, f"{CERTIFICATES}/{name}.crt", pem(certificate), durable=True)
        gone, number = self.issues.revoked(self.at), self.issues.crl_number
        revoked = revocation_list(self.authority, gone, number, self.at, self.revocation_days)
        for place in (CRL, FRONT_CRL):
            write(self.folder, place, pem(revoked), durable=True)
        write(self.folder, FRONT_AUTHORITY, pem(self.authority.certificate), durable=True)
        if self.front is not None:
            both = pem(self.front) + pem(self.authority.certificate)
            write(self.folder, FRONT_CERTIFICATE, both, durable=True)

    def _note(self, name: str, certificate: x509.Certificate) -> None:
        issued = Issued(certificate.serial_number, name, certificate.not_valid_after_utc)
        self.issues = self.issues.with_one(issued)


def publish(folder: Path, consortium: Consortium, only: Iterable[SiteId] | None = None) -> Mapping[SiteId, Path]:
    """Write the members down, and all that follows: their keys to register, and replies; the replies' paths.

    only: whose replies are written, where the member list did not change; else everybody's.
    """
    write_consortium(folder, consortium)
    write_members(folder, consortium.listed)
    for name, history in consortium.histories.items():
        node = openssh_public(read_public_key(history[-1].keys.node))
        write(folder, f"{NODE_KEYS}/{name}.pub", node, durable=True)
    _forget_others(folder, consortium)
    wanted = consortium.histories if only is None else only
    return {name: _reply(folder, consortium, name) for name in sorted(wanted)}


def certificate_of(folder: Path, consortium: Consortium, name: SiteId) -> x509.Certificate | None:
    """A member's; None where it is absent, damaged or of other keys than the member's, as a crash may leave it."""
    try:
        data = if_there(read, folder, f"{CERTIFICATES}/{name}.crt", LARGEST_PEM_BYTES)
        found = None if data is None else read_certificate(data)
    except (FileError, WireError):
        return None
    wanted = consortium.listed.members[name].certificate
    return found if found is not None and key_digest(public_key_of(found)) == wanted else None


def _reply(folder: Path, consortium: Consortium, name: SiteId) -> Path:
    certificate, public = certificate_of(folder, consortium, name), read_public(folder)
    if certificate is None:
        raise SourceError(f'{name} has no certificate in {folder}: wardround consortium renew "{name}".')
    authority = read_certificate(read(folder, FRONT_AUTHORITY, LARGEST_PEM_BYTES))
    reply = Reply(
        name, certificate, authority, consortium.listed, consortium.histories, public.hosts, public.public_port
    )
    return write_json(folder, f"{REPLIES}/{name}{SUFFIX}", reply.signed(read_key(folder)), durable=True)


def _forget_others(folder: Path, consortium: Consortium) -> None:
    """Of whoever is no member any longer."""
    for place, ending in ((NODE_KEYS, ".pub"), (CERTIFICATES, ".crt"), (REPLIES, SUFFIX)):
        for name in names(folder, place):
            if name.endswith(ending) and name.removesuffix(ending) not in consortium.histories:
                remove(folder, f"{place}/{name}")
