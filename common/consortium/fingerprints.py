"""Eight groups of four digits that stand for a member's keys, short enough to be read out on the telephone.

They are SHA-256 modulo 10^32, about 106 bits, over the consortium's name, the member's and all its keys. Whoever
wants to pass off other keys for a hospital's must find some with the same digits: 2^106 attempts. A member that makes
two sets of keys of its own with the same digits (2^53) gains nothing: what hospitals sign is the whole list.
"""

from __future__ import annotations

import hashlib
from hmac import compare_digest
from unicodedata import decimal

from common.consortium.forms import canonical
from common.consortium.members import CoordinatorKeys, MemberKeys, MemberList
from common.data.names import SiteId

COORDINATOR = "coordinator"
DOMAIN = "wardround fingerprint 1"
DIGITS, GROUP = 32, 4
FORGIVEN = frozenset(" \t-‐‑‒–—.,:;/\r\n")
"""What people write between groups."""


def digest_of(consortium: str, name: SiteId, keys: MemberKeys | CoordinatorKeys) -> str:
    """SHA-256 in hexadecimal of a member's keys, or of the coordinator's."""
    facts = {"domain": DOMAIN, "consortium": consortium, "name": name, "keys": keys.table}
    return hashlib.sha256(canonical(facts)).hexdigest()


def groups_of(digest: str) -> str:
    """The digits of a digest, in groups, as they are shown."""
    digits = str(int(digest, 16) % 10**DIGITS).zfill(DIGITS)
    return " ".join(digits[at : at + GROUP] for at in range(0, DIGITS, GROUP))


def digests_of(listed: MemberList) -> dict[SiteId, str]:
    """Of every member by name, and of the coordinator."""
    named: dict[SiteId, MemberKeys | CoordinatorKeys] = {**listed.members, COORDINATOR: listed.coordinator}
    return {name: digest_of(listed.consortium, name, keys) for name, keys in named.items()}


def is_same(typed: str, digest: str) -> bool:
    """Whether typed groups are those of a digest, in time that does not depend on where they differ."""
    return compare_digest(_digits(typed), groups_of(digest).replace(" ", "").encode())


def _digits(typed: str) -> bytes:
    """In ASCII: digits of any script, nothing that stands between groups, a question mark for all else."""
    kept = (one for one in typed[: 8 * DIGITS] if one not in FORGIVEN)
    return "".join(str(decimal(one, "?")) for one in kept).encode()
