"""A coordinator's folder, as far as the consortium goes: who its members are, and what its authority has issued.

consortium.json      the member list and every member's requests: all else can be written again from it
members.json         the member list, for whoever runs the coordinator's programs
server.toml          public_host, public_port and hosts of the front, beside what others read of it
identity.key         the coordinator's own signing key
authority/           ca.key, ca.crt, crl.pem, issued.json; needed when somebody joins, is revoked or renewed
front/               tls.crt, tls.key, ca.crt, crl.pem
certificates/        NAME.crt, of every member
node-keys/           NAME.pub, of every member, to be registered at the SuperLink
replies/             NAME.reply.json, to be handed to each hospital
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

from common.consortium.certificates import (
    LARGEST_PEM_BYTES,
    Authority,
    key_digest,
    now,
    public_key_of,
    read_certificate,
    read_private_key,
)
from common.consortium.expiry import AUTHORITY_REMEDY
from common.consortium.forms import exactly, hexadecimal, member_name, sequence, table, whole, word
from common.consortium.members import MOST_MEMBERS, MemberList, facts_of
from common.consortium.requests import PublicKeys, Request, read_history
from common.data.names import SiteId
from common.errors import AbsentFileError, FileError, SourceError, StudyError, WireError
from common.files.access import read, read_text
from common.files.json_files import read_json, write_json
from common.files.locks import held
from common.study.options import build
from common.study.spelling import unknown
from server.coordinator_folder import SETTINGS

FILE, LOCK = "consortium.json", "consortium.lock"
AUTHORITY_KEY, AUTHORITY, ISSUED = "authority/ca.key", "authority/ca.crt", "authority/issued.json"
CRL = "authority/crl.pem"
FRONT_AUTHORITY, FRONT_CRL, FRONT_CERTIFICATE, FRONT_KEY = (
    "front/ca.crt",
    "front/crl.pem",
    "front/tls.crt",
    "front/tls.key",
)
CERTIFICATES, REPLIES = "certificates", "replies"
LARGEST_BYTES = 1 << 26
MOST_ISSUED = 100_000
FRONT_NAME = "front"


@dataclass(frozen=True)
class Public:
    """`server.toml`, outside of its tables: how nodes reach the front, by all names of its certificate."""

    public_host: str = ""
    public_port: int = 8443
    hosts: tuple[str, ...] = ()


@dataclass(frozen=True)
class Consortium:
    """As it stands. histories: every member's requests, the last of which holds its keys.

    refused: SHA-256 of keys that were revoked, lost or rotated away, and that nobody may ask with again.
    """

    listed: MemberList
    histories: Mapping[SiteId, tuple[Request, ...]]
    refused: frozenset[str] = frozenset()

    def of(self, name: SiteId) -> tuple[Request, ...]:
        """A member's requests. Raises UnknownNameError."""
        if name not in self.histories:
            raise unknown("member", name, self.histories)
        return self.histories[name]

    def changed(self, histories: Mapping[SiteId, tuple[Request, ...]], gone: Iterable[PublicKeys] = ()) -> Consortium:
        """With these members instead; one version later where that makes another list. gone: keys to refuse."""
        members = {name: history[-1].keys.of_member for name, history in sorted(histories.items())}
        refused = self.refused.union(*(digests_of_keys(keys) for keys in gone))
        if members == dict(self.listed.members):
            return replace(self, histories=histories, refused=refused)
        listed = replace(self.listed, members=members, version=self.listed.version + 1, signatures={})
        return Consortium(listed, histories, refused)


@dataclass(frozen=True)
class Issued:
    """One certificate that the authority signed. revoked: when, None while it counts."""

    serial: int
    name: str
    ends: datetime
    revoked: datetime | None = None


@dataclass(frozen=True)
class Issues:
    """All of them, and the number of the last revocation list."""

    crl_number: int
    certificates: tuple[Issued, ...]

    def revoked(self, at: datetime) -> dict[int, datetime]:
        """Serial numbers that count no longer, of certificates that have not ended by themselves."""
        return {one.serial: one.revoked for one in self.certificates if one.revoked is not None and one.ends > at}

    def without(self, name: str, at: datetime) -> Issues:
        """All of this name's revoked."""
        return replace(
            self,
            certificates=tuple(
                replace(one, revoked=at) if one.name == name and one.revoked is None else one
                for one in self.certificates
            ),
        )

    def with_one(self, issued: Issued) -> Issues:
        """And one more."""
        return replace(self, certificates=(*self.certificates, issued))


def digests_of_keys(keys: PublicKeys) -> set[str]:
    """SHA-256 of each of a hospital's public keys."""
    return {sha256(one).hexdigest() for one in (keys.tls, keys.node, keys.identity)}


@contextmanager
def changing(folder: Path) -> Iterator[Consortium]:
    """The consortium of a folder, which no other command changes meanwhile."""
    _demand_there(folder)
    with held(folder, LOCK, "is being changed by another command; try again"):
        yield read_consortium(folder)


def read_consortium(folder: Path) -> Consortium:
    """Raises SourceError where there is none, or where it is damaged."""
    _demand_there(folder)
    try:
        found = exactly(read_json(folder, FILE, LARGEST_BYTES), ("list", "requests", "refused"), FILE)
        listed, at = facts_of(found["list"]), now()
        histories = {
            member_name(name): read_history(one, name, at)
            for name, one in table(found["requests"], FILE, MOST_MEMBERS).items()
        }
        refused = frozenset(hexadecimal(one, FILE) for one in found["refused"] or ())
    except (FileError, WireError, TypeError) as error:
        raise SourceError(f"{folder / FILE} is damaged: {error}") from error
    consortium = Consortium(listed, histories, refused)
    if {name: one[-1].keys.of_member for name, one in histories.items()} != dict(listed.members):
        raise SourceError(f"{folder / FILE} is damaged: its members are not those of its requests.")
    return consortium


def write_consortium(folder: Path, consortium: Consortium) -> None:
    """On the disk when this returns."""
    requests = {name: [one.table for one in history] for name, history in sorted(consortium.histories.items())}
    table = {"list": consortium.listed.facts, "requests": requests, "refused": sorted(consortium.refused)}
    write_json(folder, FILE, table, durable=True)


def read_public(folder: Path) -> Public:
    """How nodes reach the front. Raises StudyError where server.toml does not say so."""
    try:
        found = tomllib.loads(read_text(folder, SETTINGS, 1 << 16))
    except (ValueError, RecursionError) as error:
        raise StudyError(f"{folder / SETTINGS} is not TOML: {error}") from error
    return build(Public, {name: one for name, one in found.items() if not isinstance(one, dict)}, SETTINGS)


def read_authority(folder: Path, listed: MemberList, at: datetime) -> Authority:
    """The authority with its key. Raises SourceError that says what to bring back where it was moved away."""
    try:
        key = read_private_key(read(folder, AUTHORITY_KEY, LARGEST_PEM_BYTES))
        certificate = read_certificate(read(folder, AUTHORITY, LARGEST_PEM_BYTES))
    except AbsentFileError as error:
        raise SourceError(
            f"{error.args[0]} is not there: this command signs with the consortium's authority. Bring its folder "
            f"{folder / 'authority'} back, and move it away again afterwards."
        ) from error
    except WireError as error:
        raise SourceError(f"{folder / 'authority'} is damaged: {error}") from error
    digests = {key_digest(key.public_key()), key_digest(public_key_of(certificate)), listed.coordinator.authority}
    if len(digests) != 1:
        raise SourceError(f"{folder / 'authority'} is that of another consortium, or its key and certificate differ.")
    if certificate.not_valid_after_utc <= at:
        raise SourceError(f"the authority in {folder} ran out: {AUTHORITY_REMEDY}.")
    return Authority(key, certificate)


def read_issues(folder: Path) -> Issues:
    """What the authority issued. Raises SourceError where it is damaged."""
    try:
        found = exactly(read_json(folder, ISSUED, LARGEST_BYTES), ("crl_number", "certificates"), ISSUED)
        certificates = sequence(found["certificates"], ISSUED, MOST_ISSUED)
        return Issues(whole(found["crl_number"], ISSUED), tuple(_issued(one) for one in certificates))
    except (FileError, WireError, ValueError) as error:
        raise SourceError(f"{folder / ISSUED} is absent or damaged: {error}") from error


def write_issues(folder: Path, issues: Issues) -> None:
    """On the disk when this returns."""
    certificates = [
        {
            "serial": f"{one.serial:040x}",
            "name": one.name,
            "ends": one.ends.isoformat(),
            "revoked": None if one.revoked is None else one.revoked.isoformat(),
        }
        for one in issues.certificates
    ]
    write_json(folder, ISSUED, {"crl_number": issues.crl_number, "certificates": certificates}, durable=True)


def _issued(value: Any) -> Issued:
    found = exactly(value, ("serial", "name", "ends", "revoked"), ISSUED)
    revoked = found["revoked"]
    return Issued(
        int(hexadecimal(found["serial"], "a serial number", 40), 16),
        word(found["name"], "a name", 64),
        _time(found["ends"]),
        None if revoked is None else _time(revoked),
    )


def _time(value: Any) -> datetime:
    return datetime.fromisoformat(word(value, "a time", 40)).astimezone(UTC)


def _demand_there(folder: Path) -> None:
    if not folder.is_dir() or not (folder / FILE).exists():
        raise SourceError(f"{folder} holds no consortium: `wardround consortium create` makes one.")
