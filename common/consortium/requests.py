"""A hospital's request to join: its name, its three public keys, and a proof that it holds each of the private ones.

Each key signs the whole request, so that nobody can enter another's key under a name of their own, and none of the
fields can be changed on the way. A rotation is a request whose new keys the old ones signed as well: whoever checked
the old keys by telephone need not do so again. A member's history is its first request and all rotations since.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from secrets import token_hex
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.hashes import SHA384

from common.consortium.certificates import PrivateKey, PublicKey, key_digest, node_bytes, read_public_key
from common.consortium.forms import (
    canonical,
    data_of,
    demand_format,
    encoded,
    exactly,
    hexadecimal,
    member_name,
    sequence,
    word,
)
from common.consortium.members import MemberKeys
from common.data.names import SiteId
from common.errors import WireError

FORMAT = "wardround enrolment request 1"
SUFFIX = ".request.json"
LARGEST_BYTES = 1 << 16
LONGEST_HISTORY = 64
LARGEST_PROOF = 128
"""Bytes: a P-384 signature takes up to 104, an Ed25519 signature 64."""
LARGEST_PEM = 1 << 10
EARLIEST = timedelta(days=1)
"""A clock may be so far ahead."""
_FIELDS = ("format", "name", "date", "nonce", "keys", "replaces", "proofs", "former")
_KEYS = ("tls", "node", "identity")


@dataclass(frozen=True)
class Secrets:
    """A hospital's private keys."""

    tls: PrivateKey = field(repr=False)
    node: PrivateKey = field(repr=False)
    identity: Ed25519PrivateKey = field(repr=False)

    @property
    def public(self) -> PublicKeys:
        """Of each."""
        return PublicKeys(
            node_bytes(self.tls.public_key()),
            node_bytes(self.node.public_key()),
            self.identity.public_key().public_bytes_raw(),
        )

    def sign(self, message: bytes) -> dict[str, bytes]:
        """By each key."""
        return {
            "tls": self.tls.sign(message, ec.ECDSA(SHA384())),
            "node": self.node.sign(message, ec.ECDSA(SHA384())),
            "identity": self.identity.sign(message),
        }


@dataclass(frozen=True)
class PublicKeys:
    """Of a hospital. tls, node: P-384 in PEM, as Flower's header carries the second; identity: Ed25519, 32 bytes."""

    tls: bytes
    node: bytes
    identity: bytes

    @property
    def table(self) -> dict[str, str]:
        """For JSON."""
        return {"tls": encoded(self.tls), "node": encoded(self.node), "identity": encoded(self.identity)}

    @property
    def digest(self) -> str:
        """What a rotation names as the keys that it replaces."""
        return hashlib.sha256(canonical(self.table)).hexdigest()

    @property
    def of_member(self) -> MemberKeys:
        """As a member list holds them."""
        return MemberKeys(self.identity, self.node, key_digest(self.tls_key))

    @property
    def tls_key(self) -> PublicKey:
        """For a certificate."""
        return read_public_key(self.tls)

    def verify(self, message: bytes, proofs: dict[str, bytes]) -> None:
        """Raise WireError unless each key signed the message."""
        try:
            self.tls_key.verify(proofs["tls"], message, ec.ECDSA(SHA384()))
            read_public_key(self.node).verify(proofs["node"], message, ec.ECDSA(SHA384()))
            Ed25519PublicKey.from_public_bytes(self.identity).verify(proofs["identity"], message)
        except (InvalidSignature, ValueError) as error:
            raise WireError("a request is not signed by each of the keys that it names.") from error


@dataclass(frozen=True)
class Request:
    """One request. replaces: digest of the keys that it replaces, "" for a first one; former: signatures by those."""

    name: SiteId
    date: str
    nonce: str
    keys: PublicKeys
    replaces: str
    proofs: dict[str, bytes]
    former: dict[str, bytes]

    @property
    def statement(self) -> bytes:
        """What the proofs sign: all but themselves."""
        return _statement(self.name, self.date, self.nonce, self.keys, self.replaces)

    @property
    def table(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "format": FORMAT,
            "name": self.name,
            "date": self.date,
            "nonce": self.nonce,
            "keys": self.keys.table,
            "replaces": self.replaces,
            "proofs": {name: encoded(one) for name, one in self.proofs.items()},
            "former": {name: encoded(one) for name, one in self.former.items()},
        }


def make(name: SiteId, secrets: Secrets, at: datetime, former: Secrets | None = None) -> Request:
    """A request. former: the keys that it replaces, in a rotation."""
    date, nonce = at.astimezone(UTC).isoformat(timespec="seconds"), token_hex(32)
    replaces = "" if former is None else former.public.digest
    message = _statement(member_name(name), date, nonce, secrets.public, replaces)
    by_former = {} if former is None else former.sign(message)
    return Request(name, date, nonce, secrets.public, replaces, secrets.sign(message), by_former)


def read_request(value: Any, at: datetime) -> Request:
    """A request whose every field and proof was checked, except those of keys before. Raises WireError."""
    demand_format(value, FORMAT)
    found = exactly(value, _FIELDS, "a request")
    replaces = hexadecimal(found["replaces"], "a request's replaces") if found["replaces"] != "" else ""
    request = Request(
        member_name(found["name"]),
        _date(found["date"], at),
        hexadecimal(found["nonce"], "a request's nonce"),
        _public_keys(found["keys"]),
        replaces,
        _proofs(found["proofs"], "a request's proofs"),
        _proofs(found["former"], "a request's former proofs") if replaces else _none(found["former"]),
    )
    request.keys.verify(request.statement, request.proofs)
    return request


def read_history(value: Any, name: SiteId, at: datetime) -> tuple[Request, ...]:
    """A member's first request and its rotations, each signed by the keys before it. Raises WireError."""
    history = tuple(read_request(one, at) for one in sequence(value, "a history of requests", LONGEST_HISTORY))
    demand_history(name, history)
    return history


def demand_history(name: SiteId, history: Sequence[Request]) -> None:
    """Raise WireError unless the first is no rotation, each other one of the one before, and all of this name."""
    if history[0].replaces or any(one.name != name for one in history):
        raise WireError("a history of requests does not begin with a first one of that name.")
    for before, after in pairwise(history):
        demand_rotation(before, after)


def demand_rotation(before: Request, after: Request) -> None:
    """Raise WireError unless the keys of `before` signed those of `after`, and none of them stays."""
    if after.name != before.name or after.replaces != before.keys.digest:
        raise WireError("a rotation does not name the keys that the member has.")
    if set(before.keys.table.values()) & set(after.keys.table.values()):
        raise WireError("a rotation must replace each of the three keys.")
    before.keys.verify(after.statement, after.former)


def _statement(name: SiteId, date: str, nonce: str, keys: PublicKeys, replaces: str) -> bytes:
    fields = {"format": FORMAT, "name": name, "date": date, "nonce": nonce, "keys": keys.table, "replaces": replaces}
    return FORMAT.encode() + b"\n" + canonical(fields)


def _public_keys(value: Any) -> PublicKeys:
    found = exactly(value, _KEYS, "a request's keys")
    tls, node = (data_of(found[name], f"a request's {name} key", LARGEST_PEM) for name in ("tls", "node"))
    for pem in (tls, node):
        if node_bytes(read_public_key(pem)) != pem:
            raise WireError("a request's key is not in its one form of PEM.")
    if tls == node:
        raise WireError("a request's three keys must be three.")
    return PublicKeys(tls, node, data_of(found["identity"], "a request's identity key", 32, 32))


def _proofs(value: Any, what: str) -> dict[str, bytes]:
    found = exactly(value, _KEYS, what)
    return {name: data_of(found[name], what, LARGEST_PROOF) for name in _KEYS}


def _none(value: Any) -> dict[str, bytes]:
    exactly(value, (), "the former proofs of a request that replaces nothing")
    return {}


def _date(value: Any, at: datetime) -> str:
    text = word(value, "a request's date", 40)
    try:
        date = datetime.fromisoformat(text)
        if date.tzinfo is None or date > at + EARLIEST:
            raise WireError("a request's date lies in the future, or says no time zone: is its clock right?")
    except (ValueError, OverflowError) as error:
        raise WireError("a request's date must be one of ISO 8601.") from error
    return text
