"""What the coordinator hands each hospital: its certificate, the member list, and every member's own requests.

The coordinator signs all of it, and nobody need trust it: the hospital checks the proofs of every member again, and
compares everybody's keys by telephone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from common.consortium.certificates import (
    LARGEST_PEM_BYTES,
    common_name,
    demand_hospital,
    key_digest,
    node_uri,
    node_uri_of,
    pem,
    public_key_of,
    read_certificate,
)
from common.consortium.forms import (
    canonical,
    data_of,
    demand_format,
    encoded,
    exactly,
    member_name,
    sequence,
    table,
    whole,
    word,
)
from common.consortium.members import MOST_MEMBERS, SIGNATURE_BYTES, MemberList, facts_of
from common.consortium.requests import Request, read_history
from common.data.names import SiteId
from common.errors import WireError

FORMAT = "wardround enrolment reply 1"
SUFFIX = ".reply.json"
LARGEST_BYTES = 1 << 25
MOST_HOSTS, LONGEST_HOST = 64, 253
_FIELDS = ("format", "for", "certificate", "authority", "list", "requests", "hosts", "port", "signature")


@dataclass(frozen=True)
class Reply:
    """One hospital's. requests: every member's history. hosts, port: of the front, as its certificate names them."""

    name: SiteId
    certificate: x509.Certificate
    authority: x509.Certificate
    listed: MemberList
    requests: Mapping[SiteId, tuple[Request, ...]]
    hosts: tuple[str, ...]
    port: int

    @property
    def table(self) -> dict[str, Any]:
        """All but the signature, for JSON."""
        return {
            "format": FORMAT,
            "for": self.name,
            "certificate": pem(self.certificate).decode(),
            "authority": pem(self.authority).decode(),
            "list": self.listed.facts,
            "requests": {name: [one.table for one in history] for name, history in sorted(self.requests.items())},
            "hosts": list(self.hosts),
            "port": self.port,
        }

    def signed(self, key: Ed25519PrivateKey) -> dict[str, Any]:
        """For JSON, with the coordinator's signature."""
        return {**self.table, "signature": encoded(key.sign(_statement(self.table)))}


def read_reply(value: Any, at: datetime) -> Reply:
    """A reply whose every field, proof and signature was checked, by itself and against itself. Raises WireError.

    Whether it is for the hospital that reads it is for that to see: its keys, its name, what it accepted before.
    """
    demand_format(value, FORMAT)
    found = dict(exactly(value, _FIELDS, "a reply"))
    signature = data_of(found.pop("signature"), "a reply's signature", SIGNATURE_BYTES, SIGNATURE_BYTES)
    listed = facts_of(found["list"])
    _demand_signed(listed.coordinator.identity, signature, found)
    histories = table(found["requests"], "a reply's requests", MOST_MEMBERS)
    if histories.keys() != listed.members.keys():
        raise WireError("a reply must hold the requests of every member of its list, and of no other.")
    reply = Reply(
        member_name(found["for"]),
        read_certificate(word(found["certificate"], "a certificate", LARGEST_PEM_BYTES).encode()),
        read_certificate(word(found["authority"], "a certificate", LARGEST_PEM_BYTES).encode()),
        listed,
        {name: read_history(one, name, at) for name, one in histories.items()},
        tuple(word(one, "a host", LONGEST_HOST) for one in sequence(found["hosts"], "a reply's hosts", MOST_HOSTS)),
        whole(found["port"], "a reply's port"),
    )
    _demand_proven(reply)
    _demand_certified(reply, at)
    return reply


def _demand_signed(coordinator: bytes, signature: bytes, found: Mapping[str, Any]) -> None:
    try:
        Ed25519PublicKey.from_public_bytes(coordinator).verify(signature, _statement(found))
    except (InvalidSignature, ValueError) as error:
        raise WireError("a reply is not signed by the coordinator that it names, or was changed since.") from error


def _demand_proven(reply: Reply) -> None:
    for name, history in reply.requests.items():
        if history[-1].keys.of_member != reply.listed.members[name]:
            raise WireError("a member's keys in the list are not those that it proved to hold.")


def _demand_certified(reply: Reply, at: datetime) -> None:
    """Raise WireError unless the certificate is the list's authority's, for the keys and name of its hospital."""
    own = reply.listed.members.get(reply.name)
    if own is None:
        raise WireError("a reply is for a hospital that is no member of its list.")
    if key_digest(public_key_of(reply.authority)) != reply.listed.coordinator.authority:
        raise WireError("a reply's authority is not that of its list.")
    for certificate in (reply.certificate, reply.authority):
        if not certificate.not_valid_before_utc <= at <= certificate.not_valid_after_utc:
            raise WireError(
                f"a certificate is valid from {certificate.not_valid_before_utc:%Y-%m-%d} to "
                f"{certificate.not_valid_after_utc:%Y-%m-%d} and its time is over or to come: this machine's clock "
                f"says {at:%Y-%m-%d %H:%M} UTC."
            )
    demand_hospital(reply.certificate, reply.authority, at)
    if common_name(reply.certificate) != reply.name or node_uri_of(reply.certificate) != node_uri(own.node):
        raise WireError("a reply's certificate is of another name, or of another node's key.")
    if key_digest(public_key_of(reply.certificate)) != own.certificate:
        raise WireError("a reply's certificate is of another key than the list says.")


def _statement(facts: Mapping[str, Any]) -> bytes:
    return FORMAT.encode() + b"\n" + canonical(facts)
