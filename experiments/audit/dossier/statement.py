"""`dossier.json`: what a dossier is about, as hashes, and who says so. The one thing that is signed.

    what, format, made      that it is a dossier, of which form, when
    files                   SHA-256 of every other file of the dossier
    run                     its name and random word; SHA-256 of its model, of its files and of all recorded messages
    study                   its title, and the digest by which hospitals approve it
    program                 digest and version of what hospitals run; and of what attacked
    data                    by hospital the keyed digest of its split, and of the program that it said it ran
    digest                  SHA-256 of all of the above
    key, party, signature   Ed25519 over the digest; "" where nobody signed

The bytes of the file are the one canonical form of what it says, so that no byte of it can change unnoticed.
"""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from hashlib import sha256
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from common.consortium.fingerprints import groups_of
from common.errors import StudyError
from common.study.options import build

FILE = "dossier.json"
WHAT, FORMAT = "dossier of a Wardround audit", 1
DOMAIN = b"wardround dossier 1\n"
UNSIGNED = ("digest", "key", "party", "signature")


@dataclass(frozen=True)
class RunMarks:
    """name: of its folder. id: its random word. files: SHA-256 by name. messages: of all recorded messages, or ""."""

    name: str
    id: str
    model_sha256: str
    files: Mapping[str, str]
    messages: str


@dataclass(frozen=True)
class StudyMarks:
    """digest: SHA-256 of the study as it travels, which hospitals approve."""

    title: str
    digest: str


@dataclass(frozen=True)
class ProgramMarks:
    """digest, version, packages: of what hospitals run. audit: digest of what attacked and judged."""

    digest: str
    version: str
    audit: str
    packages: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class SiteMarks:
    """split: keyed digest of who is in which part of the hospital's data; program: of what it said it ran."""

    split: str
    program: str


@dataclass(frozen=True)
class Statement:
    """All of `dossier.json`. key: the public key, base64. party: whose it is said to be."""

    what: str
    format: int
    made: str
    files: Mapping[str, str]
    run: RunMarks
    study: StudyMarks
    program: ProgramMarks
    data: Mapping[str, Mapping[str, str]]
    digest: str = ""
    key: str = ""
    party: str = ""
    signature: str = ""

    @property
    def text(self) -> str:
        """The one form in which it is written."""
        return json.dumps(asdict(self), indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n"

    @property
    def own_digest(self) -> str:
        """What `digest` must be."""
        told = {key: value for key, value in asdict(self).items() if key not in UNSIGNED}
        return sha256(json.dumps(told, sort_keys=True, separators=(",", ":")).encode()).hexdigest()

    @property
    def fingerprint(self) -> str:
        """Of the key, to be compared by telephone: eight groups of four digits."""
        return fingerprint_of(b64decode(self.key)) if self.key else ""

    def closed(self, key: Ed25519PrivateKey | None = None, party: str = "") -> Statement:
        """With its digest, and with a signature where there is a key."""
        whole = replace(self, digest=self.own_digest, key="", party="", signature="")
        if key is None:
            return whole
        public = b64encode(key.public_key().public_bytes_raw()).decode()
        named = replace(whole, key=public, party=party)
        return replace(named, signature=b64encode(key.sign(named.signed_bytes)).decode())

    @property
    def signed_bytes(self) -> bytes:
        """What the signature is over: the digest, and the party's name."""
        return DOMAIN + json.dumps([self.digest, self.party]).encode()

    def signature_fault(self) -> str | None:
        """Why the signature is not that of the key it names; None where it is, or nobody signed."""
        if not (self.key or self.signature or self.party):
            return None
        try:
            Ed25519PublicKey.from_public_bytes(_decoded(self.key)).verify(_decoded(self.signature), self.signed_bytes)
        except (InvalidSignature, ValueError):
            return "the signature is not of the key that it names, or over something else"
        return None


def _decoded(text: str) -> bytes:
    """Raises ValueError for any base64 but the one that stands for the bytes."""
    found = b64decode(text, validate=True)
    if b64encode(found).decode() != text:
        raise ValueError("not canonical")
    return found


def fingerprint_of(public: bytes) -> str:
    """Of a public key: as members of a consortium compare theirs."""
    return groups_of(sha256(DOMAIN + public).hexdigest())


def read_statement(data: bytes) -> Statement:
    """Of the bytes of `dossier.json`. Raises StudyError where they are not the one form of a dossier we know."""
    try:
        table = json.loads(data.decode())
    except (ValueError, RecursionError):
        raise StudyError(f"{FILE} is not JSON as it was written.") from None
    if not isinstance(table, dict):
        raise StudyError(f"{FILE} holds no table.")
    if table.get("what") != WHAT or table.get("format") != FORMAT:
        raise StudyError(f"{FILE} is no dossier of a form that this program knows ({WHAT}, format {FORMAT}).")
    found = _with_words_alone(build(Statement, table, FILE))
    if found.text.encode(errors="replace") != data:
        raise StudyError(f"{FILE} is not byte for byte as it was written.")
    return found


def _with_words_alone(found: Statement) -> Statement:
    """Raises StudyError where a table of words holds anything else."""
    marks = {one.name for one in fields(SiteMarks)}
    sites = list(found.data.values()) if isinstance(found.data, Mapping) else [None]
    tables: list[Any] = [found.files, found.run.files, found.program.packages, *sites]
    if not all(isinstance(one, Mapping) and all(isinstance(word, str) for word in one.values()) for one in tables):
        raise StudyError(f"{FILE} holds something else where a table of digests must be.")
    if not all(set(one) == marks for one in sites):
        raise StudyError(f"{FILE} does not say of every hospital its split and its program.")
    return found
