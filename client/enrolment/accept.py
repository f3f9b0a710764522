"""`wardround node accept`: a reply is checked in everything that this hospital knows, and put in its place."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from client.atomic_write import write_durably
from client.audit_log import note
from client.enrolment.comparing import carried, read_marks, sign_if_compared, write_marks
from client.enrolment.keys import (
    AUTHORITY,
    BUSY,
    KEYS,
    LOCK,
    TLS_CERTIFICATE,
    forget_next_keys,
    install_next_keys,
    read_next_secrets,
    read_secrets,
)
from client.node_settings import NodeSettings, read_settings
from common.consortium.certificates import pem
from common.consortium.members import MemberKeys, MemberList, members_if_there, write_members
from common.consortium.replies import LARGEST_BYTES, Reply, read_reply
from common.consortium.requests import Secrets
from common.data.names import SiteId
from common.errors import FileError, HospitalError, WireError
from common.files.access import private_folder, read_all
from common.files.json_files import json_of
from common.files.locks import held
from common.sums.identity import introduce


@dataclass(frozen=True)
class Accepted:
    """What came of a reply. new, gone, changed: members, against the list before, changed by their keys.

    elsewhere: the coordinator's address in `node.toml` where the front's certificate does not name it, else "".
    """

    listed: MemberList
    new: tuple[SiteId, ...]
    gone: tuple[SiteId, ...]
    changed: tuple[SiteId, ...]
    elsewhere: str


def accept(file: Path, folder: Path, at: datetime) -> Accepted:
    """Check a reply and put it in its place. Raises HospitalError, with nothing changed, where anything is wrong."""
    settings = read_settings(folder)
    try:
        reply = read_reply(json_of(read_all(file, LARGEST_BYTES), file), at)
    except (WireError, FileError) as error:
        raise HospitalError(f"{file} was not accepted: {error}") from error
    if reply.name != settings.site:
        raise HospitalError(f"{file} is for {reply.name}, and {folder} is {settings.site}'s.")
    with held(folder, LOCK, BUSY):
        before = members_if_there(folder)
        _demand_forward(before, reply.listed, file)
        rotated = _own_keys(folder, reply)
        marks = carried(read_marks(folder), reply.listed, reply.requests)
        note(folder, "member list accepted", version=reply.listed.version, list=reply.listed.digest)
        if rotated is not None:
            note(folder, "keys rotated", keys=rotated.public.digest)
            install_next_keys(folder, rotated)
        _put(folder, reply, before)
        write_marks(folder, marks)
        if rotated is not None:
            forget_next_keys(folder)
        listed = sign_if_compared(folder, settings.site, _kept(folder))
    return _told(before, listed, reply, settings)


def _demand_forward(before: MemberList | None, listed: MemberList, file: Path) -> None:
    """Raise HospitalError unless it is the list that was accepted before, or a later one of the same consortium."""
    if before is None:
        return
    if before.consortium != listed.consortium:
        raise HospitalError(
            f"{file} is of the consortium {listed.consortium!r}, and this folder belongs to {before.consortium!r}: a "
            "hospital has a folder for each."
        )
    if listed.version < before.version:
        raise HospitalError(
            f"{file} holds version {listed.version} of the member list, and version {before.version} was accepted "
            "before: an old list is never taken again. Ask the coordinator for its newest reply."
        )
    if listed.version == before.version and listed.digest != before.digest:
        raise HospitalError(
            f"{file} holds another member list than the one accepted before, under the same version "
            f"{listed.version}: somebody shows different lists. Telephone the coordinator and the other hospitals."
        )


def _own_keys(folder: Path, reply: Reply) -> Secrets | None:
    """The keys of a rotation, where the reply is to one; None where it is to the keys in use."""
    listed, waiting = reply.listed.members[reply.name], read_next_secrets(folder)
    if waiting is not None and waiting.public.of_member == listed:
        return waiting
    if _member(read_secrets(folder)) == listed:
        return None
    raise HospitalError(
        "the reply's member list gives this hospital keys that are not its own: it is the reply to another request, "
        "or somebody put in others. Telephone the coordinator."
    )


def _member(secrets: Secrets) -> MemberKeys:
    return secrets.public.of_member


def _put(folder: Path, reply: Reply, before: MemberList | None) -> None:
    """The list last: what refuses sums without signatures stands on the disk only with all that it needs."""
    same = before is not None and before.digest == reply.listed.digest
    private_folder(folder, KEYS)
    write_durably(folder / AUTHORITY, pem(reply.authority))
    write_durably(folder / TLS_CERTIFICATE, pem(reply.certificate) + pem(reply.authority))
    write_members(folder, replace(reply.listed, signatures=before.signatures if same and before else {}))
    introduce(folder, reply.listed.identities)


def _kept(folder: Path) -> MemberList:
    listed = members_if_there(folder)
    assert listed is not None
    return listed


def _told(before: MemberList | None, listed: MemberList, reply: Reply, settings: NodeSettings) -> Accepted:
    old = {} if before is None else dict(before.members)
    new = tuple(sorted(listed.members.keys() - old.keys()))
    changed = tuple(
        name for name in sorted(listed.members) if old.get(name, listed.members[name]) != listed.members[name]
    )
    host = settings.coordinator.removeprefix("https://").rpartition(":")[0].strip("[]")
    host = host or settings.coordinator.removeprefix("https://")
    elsewhere = "" if host in reply.hosts else host
    return Accepted(listed, new, tuple(sorted(old.keys() - listed.members.keys())), changed, elsewhere)
