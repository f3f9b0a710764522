"""Whose keys a person of this hospital compared by telephone, and its signature once that is everybody.

A mark is kept by the digest of the very keys that were compared. Keys that replace them and were signed by them need
no new comparison; any others do.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from client.audit_log import note
from client.enrolment.keys import BUSY, LOCK
from common.consortium.fingerprints import COORDINATOR, digest_of, digests_of, is_same
from common.consortium.forms import hexadecimal
from common.consortium.members import MOST_MEMBERS, MemberList, members_if_there, write_members
from common.consortium.requests import Request
from common.data.names import SiteId
from common.errors import FileError, HospitalError, WireError
from common.files.json_files import read_table, write_json
from common.files.locks import held
from common.study.spelling import unknown
from common.sums.identity import read_key

FILE = "compared.json"
Marks = Mapping[SiteId, str]
"""By the name of a member, or of the coordinator: the digest of the keys that were compared."""


def read_marks(folder: Path) -> Marks:
    """What was compared. Raises HospitalError where the file is damaged."""
    try:
        found = read_table(folder, FILE)
        if len(found) > MOST_MEMBERS + 1:
            raise WireError("it has too many names.")
        return {name: hexadecimal(one, "a mark") for name, one in found.items()}
    except (FileError, WireError) as error:
        raise HospitalError(f"{folder / FILE} is damaged: {error} Remove it, and compare everybody again.") from error


def write_marks(folder: Path, marks: Marks) -> None:
    """On the disk when this returns."""
    write_json(folder, FILE, dict(sorted(marks.items())), durable=True)


def carried(marks: Marks, listed: MemberList, histories: Mapping[SiteId, Sequence[Request]]) -> dict[SiteId, str]:
    """Marks that hold of a list: of the same keys, or of keys that those which were compared signed.

    histories: of every member, each link of which was checked.
    """
    kept: dict[SiteId, str] = {}
    for name, digest in digests_of(listed).items():
        proven = {digest_of(listed.consortium, name, one.keys.of_member) for one in histories.get(name, ())}
        if marks.get(name) == digest or marks.get(name) in proven:
            kept[name] = digest
    return kept


def not_compared(site: SiteId, listed: MemberList, marks: Marks) -> list[SiteId]:
    """Everybody whose keys this hospital has yet to compare, the coordinator among them, itself not."""
    digests = digests_of(listed)
    return [name for name in sorted(digests) if name != site and marks.get(name) != digests[name]]


def is_right(folder: Path, site: SiteId, name: SiteId, typed: str) -> bool:
    """Whether these are the groups of `name`; if so that is kept, and the list signed if it was the last.

    Raises UnknownNameError for a name that is not on the list, HospitalError where there is no list.
    """
    with held(folder, LOCK, BUSY):
        listed = accepted(folder)
        demand_comparable(listed, site, name)
        digest = digests_of(listed)[name]
        right = is_same(typed, digest)
        note(folder, "member compared" if right else "member compared wrongly", member=name, keys=digest)
        if not right:
            return False
        write_marks(folder, {**read_marks(folder), name: digest})
        sign_if_compared(folder, site, listed)
        return True


def accepted(folder: Path) -> MemberList:
    """The hospital's list. Raises HospitalError where it accepted none."""
    listed = members_if_there(folder)
    if listed is None:
        raise HospitalError(
            f"{folder} holds no member list yet: `wardround node accept` the coordinator's reply first."
        )
    return listed


def demand_comparable(listed: MemberList, site: SiteId, name: SiteId) -> None:
    """Raise UnknownNameError unless somebody else is called so."""
    if name not in digests_of(listed) or name == site:
        raise unknown("other member", name, {*listed.members, COORDINATOR} - {site})


def sign_if_compared(folder: Path, site: SiteId, listed: MemberList) -> MemberList:
    """The list, with this hospital's signature where everybody's keys were compared. The folder is held."""
    if site not in listed.unsigned or not_compared(site, listed, read_marks(folder)):
        return listed
    note(folder, "member list signed", version=listed.version, list=listed.digest)
    signed = listed.with_signatures({site: read_key(folder).sign(listed.statement)})
    write_members(folder, signed)
    return signed
