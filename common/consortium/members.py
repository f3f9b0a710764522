"""The member list: who the hospitals of a consortium are, by their keys, and who of them signed that very list.

Each hospital compares the others' keys by telephone, and then signs the list. Hospitals whose signatures are over one
list know one another by the same keys, whoever carried them. Its version goes forward only.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from common.consortium.forms import canonical, data_of, encoded, exactly, hexadecimal, member_name, table, whole, word
from common.data.names import SiteId, refuse_alike
from common.errors import AbsentFileError, FileError, HospitalError, SourceError, WireError
from common.files.json_files import read_json, write_json

FILE = "members.json"
LARGEST_BYTES = 1 << 22
MOST_MEMBERS = 1000
LARGEST_PEM = 1 << 10
SIGNATURE_BYTES = 64
DOMAIN = b"wardround member list 1\n"
INTRODUCTION = b"wardround introduction 1\n"
"""Each stands before whatever of its kind is signed: a signature of one kind is none of another."""


@dataclass(frozen=True)
class MemberKeys:
    """identity: Ed25519, 32 bytes. node: as Flower's header carries it, base64 undone. certificate: SHA-256 of the
    public key of its TLS certificate: a certificate that is renewed for the same key changes no list.
    """

    identity: bytes
    node: bytes
    certificate: str

    @property
    def table(self) -> dict[str, str]:
        """For JSON."""
        return {"identity": encoded(self.identity), "node": encoded(self.node), "certificate": self.certificate}

    @property
    def roster_key(self) -> str:
        """What a study's roster says of a hospital."""
        return hashlib.sha256(self.identity).hexdigest()


@dataclass(frozen=True)
class CoordinatorKeys:
    """identity: Ed25519, 32 bytes. authority: SHA-256 of the public key of the consortium's authority."""

    identity: bytes
    authority: str

    @property
    def table(self) -> dict[str, str]:
        """For JSON."""
        return {"identity": encoded(self.identity), "authority": self.authority}


@dataclass(frozen=True)
class MemberList:
    """One version of it. signatures: by name, over `statement`; none of them is part of what is signed."""

    consortium: str
    members: Mapping[SiteId, MemberKeys]
    coordinator: CoordinatorKeys
    version: int
    signatures: Mapping[SiteId, bytes] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def facts(self) -> dict[str, Any]:
        """All but the signatures, for JSON."""
        return {
            "consortium": self.consortium,
            "members": {name: keys.table for name, keys in sorted(self.members.items())},
            "coordinator": self.coordinator.table,
            "version": self.version,
        }

    @property
    def statement(self) -> bytes:
        """What each hospital signs."""
        return DOMAIN + canonical(self.facts)

    @property
    def digest(self) -> str:
        """64 hexadecimal digits that stand for the list."""
        return hashlib.sha256(self.statement).hexdigest()

    @property
    def identities(self) -> dict[SiteId, bytes]:
        """Everybody's identity key."""
        return {name: keys.identity for name, keys in self.members.items()}

    def is_signed_by(self, name: SiteId, signature: bytes) -> bool:
        """Whether this is `name`'s signature over this very list."""
        keys = self.members.get(name)
        if keys is None:
            return False
        try:
            Ed25519PublicKey.from_public_bytes(keys.identity).verify(signature, self.statement)
        except (InvalidSignature, ValueError):
            return False
        return True

    def with_signatures(self, found: Mapping[SiteId, bytes]) -> MemberList:
        """With those of them that are good, beside the ones that it has."""
        good = {name: one for name, one in found.items() if self.is_signed_by(name, one)}
        return replace(self, signatures={**self.signatures, **good})

    @property
    def unsigned(self) -> list[SiteId]:
        """Members whose signature is missing, or not over this list."""
        return [name for name in sorted(self.members) if not self.is_signed_by(name, self.signatures.get(name, b""))]


def introduction(site: SiteId, run: str, node: int) -> bytes:
    """What a hospital signs to say which node of a run is its own: for another node or run it is worth nothing."""
    return INTRODUCTION + canonical({"site": site, "run": run, "node": str(node)})


def introduces(key: bytes, signature: bytes, site: SiteId, run: str, node: int) -> bool:
    """Whether the holder of this identity key says so."""
    try:
        Ed25519PublicKey.from_public_bytes(key).verify(signature, introduction(site, run, node))
    except (InvalidSignature, ValueError):
        return False
    return True


def facts_of(value: Any) -> MemberList:
    """A list without signatures from JSON, every field checked. Raises WireError."""
    found = exactly(value, ("consortium", "members", "coordinator", "version"), "a member list")
    members = {
        member_name(name): _member(keys)
        for name, keys in table(found["members"], "a member list's members", MOST_MEMBERS).items()
    }
    coordinator = exactly(found["coordinator"], ("identity", "authority"), "a member list's coordinator")
    _demand_apart(members)
    return MemberList(
        word(found["consortium"], "a consortium's name", 64),
        members,
        CoordinatorKeys(
            data_of(coordinator["identity"], "the coordinator's identity", 32, 32),
            hexadecimal(coordinator["authority"], "the authority's digest"),
        ),
        whole(found["version"], "a member list's version"),
    )


def read_members(folder: Path) -> MemberList:
    """The list in a folder. Raises AbsentFileError where there is none, HospitalError where it is damaged."""
    try:
        found = table(read_json(folder, FILE, LARGEST_BYTES), FILE, 5)
        signatures = table(found.pop("signatures", {}), "a member list's signatures", MOST_MEMBERS)
        listed = facts_of(found)
        return replace(
            listed,
            signatures={
                member_name(name): data_of(one, "a signature", SIGNATURE_BYTES, SIGNATURE_BYTES)
                for name, one in signatures.items()
            },
        )
    except AbsentFileError:
        raise
    except (FileError, WireError) as error:
        raise HospitalError(f"{folder / FILE} is damaged: {error}") from error


def members_if_there(folder: Path) -> MemberList | None:
    """`read_members`; None where there is none."""
    try:
        return read_members(folder)
    except AbsentFileError:
        return None


def write_members(folder: Path, listed: MemberList) -> None:
    """On the disk when this returns."""
    signatures = {name: encoded(one) for name, one in sorted(listed.signatures.items())}
    write_json(folder, FILE, {**listed.facts, "signatures": signatures}, durable=True)


def _member(value: Any) -> MemberKeys:
    found = exactly(value, ("identity", "node", "certificate"), "a member")
    return MemberKeys(
        data_of(found["identity"], "a member's identity", 32, 32),
        data_of(found["node"], "a member's node key", LARGEST_PEM),
        hexadecimal(found["certificate"], "a member's certificate"),
    )


def _demand_apart(members: Mapping[SiteId, MemberKeys]) -> None:
    """Raise WireError where two members share a name but for capitals, or any of their keys."""
    try:
        refuse_alike("members", members)
    except SourceError as error:
        raise WireError("two members have names that differ in capitals alone.") from error
    for of_kind in zip(*(keys.table.values() for keys in members.values()), strict=True):
        if len(set(of_kind)) != len(of_kind):
            raise WireError("two members have one key.")
